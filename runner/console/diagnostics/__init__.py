"""A manifest's problems as text and for programs."""
