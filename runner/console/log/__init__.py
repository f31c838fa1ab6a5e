"""The log: setup, redaction, observers."""
