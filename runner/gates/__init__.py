"""Asks what waves depend on: HTTP addresses and commands (operations.md, "Between waves")."""
