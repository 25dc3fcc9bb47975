"""Sweep this: the run on a page, over many values, pictures and models."""
