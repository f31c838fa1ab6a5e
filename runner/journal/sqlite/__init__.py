"""The journal in an SQLite file: one host, one writer."""
