"""The pages of kept runs."""
