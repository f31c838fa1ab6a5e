"""Messages about a run, delivered by the library Apprise."""
