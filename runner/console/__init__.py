"""What people and other programs read of a run: diagnostics, logs, progress, results, errors."""
