"""Writes, checks, lists and removes the reports of runs (cli.md, "A run leaves")."""
