"""`runner` and `python -m runner`."""

from __future__ import annotations

import gc
import os
import sys

from runner import __version__


def main() -> None:
    """Run the command line; the version is told without loading what commands need."""
    if sys.argv[1:] == ["--version"]:
        print(f"runner {__version__}")  # noqa: T201 - the result of this command
        return
    # Python's TLS would write every session's keys there, for everyone to read.
    os.environ.pop("SSLKEYLOGFILE", None)
    # Most of what is made lives to the end; looking for garbage in it as often as Python does by
    # itself takes a tenth of a short command's time.
    gc.set_threshold(20_000, 20, 50)
    from runner.cli.app import run  # noqa: PLC0415 - loaded when it is needed

    try:
        os.getcwd()  # noqa: PTH109 - pathlib asks the same
    except OSError:
        print("error: the folder of this command is gone; change to another", file=sys.stderr)  # noqa: T201 - nothing is loaded yet
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
