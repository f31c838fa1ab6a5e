"""YAML text to a positioned document."""
