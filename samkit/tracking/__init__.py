"""Kept runs: a run as a folder (bundle), the MLflow store, and the spool for when the store is away."""
