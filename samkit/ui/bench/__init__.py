"""The one skeleton of all experiment pages."""
