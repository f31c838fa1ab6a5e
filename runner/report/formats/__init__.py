"""Report formats other than the page."""
