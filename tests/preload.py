"""Imports all that a command may need, for processes that fork commands.

A fork inherits what its parent has imported; what it imports itself, it pays for each time.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil

import runner

LATER = (
    "anyio._backends._asyncio",
    "certifi",
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.utf_8_sig",
    "httpcore",
    "importlib.resources.readers",
    "typer._click.decorators",
)
"""What libraries import only when they are used."""


def preload() -> None:
    """Import the program, and what its libraries load later; leave all of it to the forks."""
    for module in pkgutil.walk_packages(runner.__path__, "runner."):
        importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
