"""The journal: one SQLite file that knows what was sent, what came of it, and in which order."""
