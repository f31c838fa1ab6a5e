"""The manifest's JSON Schema: checks and messages."""
