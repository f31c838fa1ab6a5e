"""What chaos tests share: one zygote, a crew of threads, and the table of figures at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.forks import Zygote
from tests.chaos.harness import GatewayProcess, Workspace
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally

FIGURES = pytest.StashKey[list[Tally]]()
LARGE = os.environ.get("RUNNER_CHAOS") == "large"
THREADS = 8


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was measured, for the table in docs/reliability.md."""
    if not config.stash[FIGURES]:
        return
    terminalreporter.section("chaos, by the gateway's ledger")
    terminalreporter.line(
        "| fault | faults | transfers | moved | in doubt | twice | lost | wrong |"
    )
    terminalreporter.line("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for tally in config.stash[FIGURES]:
        terminalreporter.line(tally.row())


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Callable[[Tally], None]:
    """Note a campaign's figures, and fail unless nothing was doubled, lost or misreported."""

    def checked(tally: Tally) -> None:
        request.config.stash[FIGURES].append(tally)
        assert tally.is_clean, tally

    return checked


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    born = Zygote()
    yield born
    born.close()


Crew = Callable[..., "Future[Any]"]


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """Run parts of a module side by side: most of the time they wait."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool.submit


@pytest.fixture
def open_workspace(
    tmp_path: Path, zygote: Zygote
) -> Iterator[Callable[..., tuple[GatewayProcess, Workspace]]]:
    """Give a gateway that behaves as told, and a folder to run the command line in."""
    opened: list[GatewayProcess] = []

    def opening(**settings: Any) -> tuple[GatewayProcess, Workspace]:
        gateway = GatewayProcess(tmp_path, zygote, Settings(**settings)).__enter__()
        opened.append(gateway)
        return gateway, Workspace(tmp_path, gateway, zygote)

    yield opening
    for gateway in opened:
        gateway.__exit__()
