"""What several experiments compute."""
