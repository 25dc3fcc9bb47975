"""What a visitor has, and what all visitors share."""
