"""Journals: what was sent, what came of it, and in which order; a folder for each database."""
