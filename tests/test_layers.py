"""The layers are a test: import-linter's contracts in `.importlinter`."""

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

CONTRACTS = Path(__file__).parents[1] / ".importlinter"


def test_rooms_import_only_below_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = lint_imports(config_filename=str(CONTRACTS), no_cache=True, no_logo=True)

    assert verdict == 0, capsys.readouterr().out
