"""Operators' commands over a Unix socket beside the journal."""
