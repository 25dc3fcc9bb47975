"""What can lie on the bench: one picture, a pair, two sides, or a film."""
