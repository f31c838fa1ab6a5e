"""Carries a plan out: knows only the core and the ports."""
