"""Builds the manifest's sections as frozen values."""
