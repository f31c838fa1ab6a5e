"""Reads transfers as rows: inline, CSV and JSON Lines."""
