"""One file for each experiment's page."""
