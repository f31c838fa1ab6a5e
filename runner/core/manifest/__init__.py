"""The manifest's values and rules."""
