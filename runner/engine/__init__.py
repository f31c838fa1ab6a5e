"""Sends a plan's transfers; knows only the core and the ports."""
