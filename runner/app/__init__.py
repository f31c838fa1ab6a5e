"""The one place that picks adapters and puts them together."""
