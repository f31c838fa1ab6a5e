"""What becomes of a queue when a batch is sent to it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.gates import parse_bound
from runner.core.manifest.destinations import DestinationLimits
from runner.core.pacing.what_if import WhatIf, what_if

QUEUE = "genesys://queue/q"


def asked(
    sends: int = 100,
    waiting: float | None = 0,
    agents: float | None = 10,
    *,
    handle_s: float = 10.0,
    shared: float | None = None,
    rate: float | None = None,
    **bounds: str,
) -> WhatIf | None:
    limits = DestinationLimits(
        pattern=QUEUE, rate_per_s=rate, bounds={n: parse_bound(b) for n, b in bounds.items()}
    )
    figures = {"waiting": waiting, "on_queue": agents}
    return what_if(limits, figures, sends=sends, rate_per_s=shared, handle_s=handle_s)


@pytest.mark.parametrize(
    ("found", "ends_s", "waiting_then"),
    [
        (asked(rate=2.0), 50.0, 50.0),  # one a second is taken
        (asked(shared=0.5), 200.0, 0.0),
        (asked(), 0.0, 100.0),  # no rate: all at once
        (asked(waiting=20, rate=2.0), 50.0, 70.0),
        (what_if(DestinationLimits(pattern=QUEUE, bounds={"waiting": parse_bound("< 20")}),
                 {"waiting": 30.0, "on_queue": 10.0}, sends=100, rate_per_s=None, handle_s=10.0),
         110.0, 20.0),  # 10 s until some may come, then one a second
        (what_if(DestinationLimits(pattern=QUEUE, rate_per_s=2.0,
                                   bounds={"waiting": parse_bound("<= 19")}),
                 {"waiting": 0.0, "on_queue": 10.0}, sends=100, rate_per_s=5.0, handle_s=10.0),
         80.0, 20.0),  # 40 in 20 s, then one a second
    ],
)  # fmt: skip
def test_it_ends_when_the_slower_of_rate_and_agents_lets_it(
    found: WhatIf | None, ends_s: float, waiting_then: float
):
    assert found is not None
    assert found.ends_s == pytest.approx(ends_s)
    assert found.waiting_then == pytest.approx(waiting_then)
    assert found.last_waits_s == pytest.approx(waiting_then)


def test_without_agents_a_full_queue_never_ends_it():
    limits = DestinationLimits(pattern=QUEUE, bounds={"waiting": parse_bound("< 20")})
    for waiting in (0.0, 30.0):
        figures = {"waiting": waiting, "on_queue": 0.0}
        found = what_if(limits, figures, sends=100, rate_per_s=None)
        assert found is not None
        assert (found.ends_s, found.waiting_then, found.last_waits_s) == (None, None, None)
    few = what_if(limits, {"waiting": 0.0, "on_queue": 0.0}, sends=5, rate_per_s=None)
    assert few is not None
    assert (few.ends_s, few.waiting_then, few.last_waits_s) == (0.0, 5.0, None)


def test_too_few_on_queue_never_end_it_and_other_bounds_do_not_matter():
    found = asked(agents=4, on_queue=">= 5")
    assert found is not None
    assert found.ends_s is None
    limits = DestinationLimits(
        pattern=QUEUE,
        bounds={"waiting": parse_bound(">= 0"), "on_queue": parse_bound(">= 5")},
    )
    other = what_if(limits, {"waiting": 0.0, "on_queue": 5.0}, sends=9, rate_per_s=1.0)
    assert other is not None
    assert other.ends_s == 9.0


@pytest.mark.parametrize("figures", [(None, 5), (5, None)])
def test_what_is_not_known_is_not_estimated(figures: tuple[float | None, float | None]):
    assert asked(1, *figures) is None


@given(
    st.integers(1, 500),
    st.floats(0, 50),
    st.integers(1, 50),
    st.floats(0.1, 50),
    st.integers(1, 60),
)
def test_it_never_ends_before_the_rate_and_never_fills_beyond_the_bound(
    sends: int, waiting: float, agents: int, rate: float, room: int
):
    limits = DestinationLimits(
        pattern=QUEUE, rate_per_s=rate, bounds={"waiting": parse_bound(f"< {room}")}
    )
    figures = {"waiting": waiting, "on_queue": float(agents)}
    found = what_if(limits, figures, sends=sends, rate_per_s=None, handle_s=20.0)
    assert found is not None
    assert found.ends_s is not None
    assert found.waiting_then is not None
    assert found.ends_s >= sends / rate - 1e-6
    assert found.waiting_then <= room + 1e-6
    assert math.isfinite(found.ends_s)


def test_it_reads_as_a_sentence():
    found = asked(rate=2.0)
    assert found is not None
    assert found.text("Billing", is_assumed=True) == (
        "Billing: 100 transfers would be sent in 50 s; 50 wait there then, the last one for 50 s"
        " (10 agents on queue, 0 waiting now, 10 s each (assumed))"
    )
    never = asked(agents=4, on_queue=">= 5")
    assert never is not None
    assert never.text("Billing", is_assumed=False) == (
        "Billing: 100 transfers would not end by these figures"
        " (4 agents on queue, 0 waiting now, 10 s each)"
    )
    alone = asked(5, agents=0)
    assert alone is not None
    assert "5 wait there then (0 agents" in alone.text("Billing", is_assumed=False)
