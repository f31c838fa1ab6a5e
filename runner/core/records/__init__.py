"""What a run leaves, as values."""
