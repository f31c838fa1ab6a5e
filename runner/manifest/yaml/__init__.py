"""Reads YAML text into a document with the place of every value."""
