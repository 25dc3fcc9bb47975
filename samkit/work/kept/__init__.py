"""What visitors work on, kept on the server: within a bound, for a time, for who has the link."""
