"""Checkpoints on disk: reading them, knowing what they are, the catalogue, downloading."""
