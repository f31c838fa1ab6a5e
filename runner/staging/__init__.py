"""Rows on disk for as long as a command lasts: a manifest's until they are planned, two runs' to be compared."""
