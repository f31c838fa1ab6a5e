"""`runner` and `python -m runner`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

from runner import __version__


def main() -> None:
    """Run the command line; `--version` is answered without loading what commands need."""
    if sys.argv[1:] == ["--version"]:
        print(f"runner {__version__}")  # noqa: T201 - the result of this command
        return
    # Python's TLS would write every session's keys there, for everyone to read.
    os.environ.pop("SSLKEYLOGFILE", None)
    # Most objects live to the end; looking once for garbage among the 37,000 that a short command
    # loads takes a twentieth of its time.
    gc.set_threshold(100_000, 20, 50)
    # At its end the system takes all memory back; Python would first look for garbage in it.
    atexit.register(gc.freeze)
    # Loaded when they are needed.
    from runner.cli.app import command_line  # noqa: PLC0415
    from runner.cli.argument_check import check_arguments  # noqa: PLC0415
    from runner.core.errors import UsageError  # noqa: PLC0415

    try:
        os.getcwd()  # noqa: PTH109 - pathlib asks the same
        check_arguments(sys.argv[1:], os.environ)
    except OSError:
        _refuse("the current folder no longer exists; change to another")
    except UsageError as error:
        _refuse(str(error))
    command_line(sys.argv[1:])(prog_name="runner")


def _refuse(problem: str) -> NoReturn:
    print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - no console is loaded yet
    sys.exit(2)


if __name__ == "__main__":
    main()
