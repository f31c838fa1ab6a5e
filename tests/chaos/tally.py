"""What a campaign of faults came to, by the gateway's ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.e2e.harness import Report

DONE = frozenset({"transferred", "unchanged", "skipped"})


class Ledger(Protocol):
    """What tells how often each interaction was moved."""

    def moves(self) -> Counter[str]: ...


class Reported(Protocol):
    """What has a newest report."""

    def report(self) -> Report: ...


@dataclass(frozen=True, slots=True)
class Tally:
    """Figures of one campaign; the last three must be empty."""

    fault: str
    faults: int | None  # None: drawn by the gateway, which does not count them
    transfers: int
    moved: int | None  # None: nobody was moved, or the ledger was not asked
    in_doubt: int
    doubled: tuple[str, ...]
    lost: tuple[str, ...]  # neither moved nor told to be open
    misreported: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return not (self.doubled or self.lost or self.misreported)

    def row(self) -> str:
        """Return the campaign as a row of a table."""
        ill = (len(self.doubled), len(self.lost), len(self.misreported))
        figures = (self.faults, self.transfers, self.moved, self.in_doubt, *ill)
        cells = ("-" if figure is None else f"{figure:,}" for figure in figures)
        return f"| {self.fault} | {' | '.join(cells)} |"


def judge(
    fault: str, faults: int | None, gateway: Ledger, workspace: Reported, expected: Sequence[str]
) -> Tally:
    """Compare the ledger with the newest report, transfer by transfer."""
    moves = gateway.moves()
    told: dict[str, Any] = workspace.report().by_id
    return Tally(
        fault=fault,
        faults=faults,
        transfers=len(expected),
        moved=len(moves),
        in_doubt=Counter(each["outcome"] for each in told.values())["in_doubt"],
        doubled=tuple(name for name, count in moves.items() if count > 1),
        lost=tuple(
            name
            for name in expected
            if not moves[name] and (name not in told or told[name]["outcome"] in DONE)
        ),
        misreported=tuple(
            name
            for name in expected
            if name in told and not _agrees(told[name]["outcome"], moves[name])
        ),
    )


def _agrees(outcome: str, moves: int) -> bool:
    """Tell whether an outcome is true of an interaction; a doubt may be either."""
    return outcome == "in_doubt" or (outcome in DONE) == bool(moves)
