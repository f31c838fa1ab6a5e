"""What processes that fork commands do once, so that no fork does it: they import, build, compile.

A fork inherits what its parent has; what it does itself, it pays for each time.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pkgutil
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import typer

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
    """Import the program and what its libraries load later, build what commands build first."""
    for module in pkgutil.walk_packages(runner.__path__, "runner."):
        importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)
    _build()
    gc.collect()
    gc.freeze()


def _build() -> None:
    """Build the tree of commands, the manifest's validator and the page's template."""
    from runner.cli.app import command_line  # noqa: PLC0415 - imported above
    from runner.manifest.schema.check import validator  # noqa: PLC0415
    from runner.report.html.page import _templates  # noqa: PLC0415

    commands = typer.main.get_command(command_line())
    typer.main.get_command = lambda *_: commands  # the library builds it anew for each call
    validator()
    _templates().get_template("report.html.j2")


def run_to_end(program: Callable[[], object]) -> None:
    """Run a program in a fork and end the process, as an interpreter does but for its last step.

    That step takes all modules apart, which copies all that the fork shares with its parent: half
    of a short command's time. A process whose coverage is measured, an error that leaves the
    program, and output that cannot be written end as usual.
    """
    code: object = None
    try:
        program()
    except SystemExit as ended:
        code = ended.code
    if not (code is None or isinstance(code, int)) or "coverage" in sys.modules:
        sys.exit(code)  # type: ignore[arg-type]
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)
    sys.exit(code)
