"""What a visitor turns, picks and draws on."""
