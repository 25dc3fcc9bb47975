"""Sweeps: one experiment over models, pictures, prompts and parameters, judged against the truth."""
