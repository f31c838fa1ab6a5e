"""The layers are a test: import-linter's contracts in `.importlinter`."""

import re
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

TESTS = Path(__file__).parent
CONTRACTS = TESTS.parent / ".importlinter"


def test_rooms_import_only_below_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = lint_imports(config_filename=str(CONTRACTS), no_cache=True, no_logo=True)

    assert verdict == 0, capsys.readouterr().out


def test_no_test_module_imports_another() -> None:
    """What tests share is in a module of its own, under a name that does not begin with `test_`."""
    imported = re.compile(r"^\s*(?:from|import) +tests\.(?:\w+\.)*test_\w+", re.MULTILINE)
    guilty = [str(file) for file in TESTS.rglob("*.py") if imported.search(file.read_text("utf-8"))]

    assert guilty == []


def test_the_foreign_gateway_shares_nothing_with_what_it_judges() -> None:
    """Neither the program's code nor the libraries that the program speaks through."""
    shared = re.compile(
        r"^\s*(?:from|import) +(?:runner|httpx|httpcore|h11|websockets|aiohttp)\b", re.MULTILINE
    )
    judges = [*(TESTS / "foreign").glob("*.py"), TESTS / "fakes" / "wire_server.py"]
    guilty = [str(file) for file in judges if shared.search(file.read_text("utf-8"))]

    assert guilty == []
