"""Transfers as rows: inline, CSV and JSON Lines."""
