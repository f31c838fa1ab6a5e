"""Checks a document against the manifest's JSON Schema."""
