"""What a look-up may be believed to say of a delivery in doubt."""

from __future__ import annotations

import pytest

from runner.core.evidence import Baseline, Evidence, weigh
from runner.core.sight import Interaction

HERE, BEFORE = "genesys://queue/here", "genesys://queue/before"


def weighed(before: tuple[str, str | None], now: tuple[str, str | None]) -> Evidence:
    """Weigh (destination, last id) as it was and as it is, for a delivery `m1` to `HERE`."""
    seen = Interaction("i1", True, "active", *now)  # noqa: FBT003 - found
    baseline = Baseline("active", *before)
    return weigh(seen, baseline=baseline, destination_uri=HERE, message_ids={"m1"})[0]


@pytest.mark.parametrize(
    ("before", "now", "evidence"),
    [
        ((BEFORE, None), (BEFORE, None), Evidence.UNTOUCHED),
        ((BEFORE, "x"), (BEFORE, "x"), Evidence.UNTOUCHED),
        ((BEFORE, None), (HERE, None), Evidence.CARRIED_OUT),
        ((BEFORE, None), (HERE, "m1"), Evidence.CARRIED_OUT),
        ((BEFORE, None), (HERE, "y"), Evidence.INCONCLUSIVE),
        ((HERE, "x"), (HERE, "x"), Evidence.UNTOUCHED),
        ((HERE, None), (HERE, None), Evidence.INCONCLUSIVE),
    ],
)
def test_only_what_would_show_an_effect_can_show_that_there_was_none(
    before: tuple[str, str | None], now: tuple[str, str | None], evidence: Evidence
):
    """It was at its destination, and look-ups tell no ids: the same sight proves nothing."""
    assert weighed(before, now) is evidence
