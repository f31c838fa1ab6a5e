"""Renders diagnostics, logs, progress, results and errors for people and programs."""
