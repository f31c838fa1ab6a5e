"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("runner", deadline=None)
settings.load_profile("runner")
