"""The pure core: no I/O, no clock, no randomness; time and jitter are arguments."""
