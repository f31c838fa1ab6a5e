"""The manifest's sections as frozen values."""
