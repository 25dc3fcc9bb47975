"""A sweep as one HTML file for a person to read."""
