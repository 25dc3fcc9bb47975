"""Kept runs in MLflow, and the spool for when the store is away."""
