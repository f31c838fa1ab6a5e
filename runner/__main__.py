"""`runner` and `python -m runner`."""

from __future__ import annotations

import sys

from runner import __version__


def main() -> None:
    """Run the command line; the version is told without loading what commands need."""
    if sys.argv[1:] == ["--version"]:
        print(f"runner {__version__}")  # noqa: T201 - the result of this command
        return
    from runner.cli.main import run  # noqa: PLC0415 - loaded when it is needed

    run()


if __name__ == "__main__":
    main()
