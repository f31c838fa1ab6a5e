"""Imports all that a command may need, for processes that fork commands.

A fork inherits what its parent has imported; what it imports itself, it pays for each time.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil

import runner


def preload() -> None:
    """Import the program, and leave all of it to the forks."""
    for module in pkgutil.walk_packages(runner.__path__, "runner."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
