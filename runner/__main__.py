"""`runner` and `python -m runner`."""

from __future__ import annotations

import gc
import os
import sys

from runner import __version__


def main() -> None:
    """Run the command line; `--version` is answered without loading what commands need."""
    if sys.argv[1:] == ["--version"]:
        print(f"runner {__version__}")  # noqa: T201 - the result of this command
        return
    # Python's TLS would write every session's keys there, for everyone to read.
    os.environ.pop("SSLKEYLOGFILE", None)
    # Most objects live to the end; collecting garbage as often as Python does by default takes a
    # tenth of a short command's time.
    gc.set_threshold(20_000, 20, 50)
    from runner.cli.app import run  # noqa: PLC0415 - loaded when it is needed

    try:
        os.getcwd()  # noqa: PTH109 - pathlib asks the same
    except OSError:
        print("error: the current folder no longer exists; change to another", file=sys.stderr)  # noqa: T201 - nothing is loaded yet
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
