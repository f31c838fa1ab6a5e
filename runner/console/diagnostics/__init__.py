"""Renders a manifest's problems: text, JSON, GitHub annotations, SARIF."""
