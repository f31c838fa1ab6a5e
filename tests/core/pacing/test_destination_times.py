"""How long the limits of single destinations make a batch take."""

from __future__ import annotations

import pytest

from runner.core.manifest.destinations import DestinationLimits, DestinationTable
from runner.core.pacing.destination_times import SlowestDestination, slowest_destination

TABLE = DestinationTable(
    (
        DestinationLimits(pattern="genesys://queue/slow", rate_per_s=1.0),
        DestinationLimits(pattern="genesys://queue/b*", rate_per_s=10.0, in_flight=2),
        DestinationLimits(pattern="tel:+31201234567", in_flight=1),
        DestinationLimits(pattern="sip:a@example.net"),
    )
)


@pytest.mark.parametrize(
    ("sends", "slowest"),
    [
        ({"genesys://queue/slow": 100, "genesys://queue/b1": 500}, ("genesys://queue/slow", 100.0)),
        ({"genesys://queue/slow": 10, "genesys://queue/b1": 500}, ("genesys://queue/b1", 50.0)),
        ({"genesys://queue/b1": 300, "genesys://queue/b2": 200}, ("genesys://queue/b1", 30.0)),
        ({"tel:+31201234567": 20, "tel:+31-20-1234567": 20}, None),
        ({"sip:a@example.net": 5, "genesys://queue/other": 1_000}, None),
        ({}, None),
    ],
    ids=["rate", "pattern", "each-by-itself", "no-reply", "no-limit", "nothing"],
)
def test_the_slowest_destination_is_that_of_its_own_limits(
    sends: dict[str, int], slowest: tuple[str, float] | None
):
    found = slowest_destination(sends, TABLE)
    assert found == (None if slowest is None else SlowestDestination(*slowest))


def test_a_reply_time_makes_the_limit_in_flight_count_and_spellings_count_together():
    sends = {"tel:+31201234567": 20, "tel:+31-20-1234567": 20}
    found = slowest_destination(sends, TABLE, reply_s=0.5)
    assert found == SlowestDestination("tel:+31201234567", 20.0)
