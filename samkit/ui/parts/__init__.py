"""Everything that draws without knowing the app."""
