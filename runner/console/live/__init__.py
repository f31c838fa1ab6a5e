"""Shows a run's progress while it is running."""
