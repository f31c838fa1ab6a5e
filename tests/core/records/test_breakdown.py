"""A batch counted by destination, codec, and the like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from runner.core.records.breakdown import KEPT, Codecs, Partition, destination, route, wave
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.outcome import Outcome

OPUS = {"audio": {"codec": "opus"}}
VIDEO = {"audio": {"codec": "opus"}, "video": {"codec": "vp8"}}
PLAIN = TransferRecord(
    "k",
    "b.csv:2",
    "i",
    "genesys://queue/a",
    None,
    Outcome.TRANSFERRED,
    None,
    None,
    None,
    OPUS,
    None,
    None,
)
DONE, REFUSED = 0, 1


def kind(transfer: TransferRecord) -> int:
    return REFUSED if transfer.outcome is Outcome.REJECTED else DONE


def partition(transfers: Iterator[TransferRecord], **dimensions: Any) -> Partition:
    made = Partition(dimensions or {"destination": destination}, kind, frozenset({REFUSED}))
    made.add_all(transfers)
    return made


def to(uri: str, count: int, outcome: Outcome = Outcome.TRANSFERRED) -> list[TransferRecord]:
    return [PLAIN._replace(destination_uri=uri, outcome=outcome)] * count


def test_trouble_comes_first_then_the_largest_and_the_rest_is_one():
    transfers = [*to("a", 5), *to("b", 9), *to("c", 1, Outcome.REJECTED), *to("d", 2), *to("e", 1)]
    (found,) = partition(iter(transfers)).breakdowns(3)
    assert [(part.name, part.total) for part in found.parts] == [("c", 1), ("b", 9), ("a", 5)]
    assert found.rest is not None
    assert (found.rest.names, found.rest.counts, found.exact) == (2, {DONE: 3}, True)
    assert found.largest == 9


def test_many_destinations_are_counted_in_bounded_memory_and_none_is_lost():
    transfers = (PLAIN._replace(destination_uri=f"u{n}") for n in range(KEPT + 500))
    (found,) = partition(transfers).breakdowns(10)
    assert found.rest is not None
    assert sum(part.total for part in found.parts) + found.rest.total == KEPT + 500
    assert not found.exact


def test_a_dimension_that_no_transfer_has_is_not_there():
    counted = partition(iter([PLAIN]), wave=lambda _: None, destination=destination)
    assert [each.by for each in counted.breakdowns(5)] == ["destination"]
    assert counted.kinds == {DONE: 1}


@pytest.mark.parametrize(
    ("requested", "negotiated", "name"),
    [
        (OPUS, None, "opus"),
        (VIDEO, OPUS, "opus + vp8 → opus"),
        (OPUS, {"audio": "loud", "video": {"codec": 7}}, "opus → no codec named"),
        (OPUS, {"audio": {"codec": "x" * 300}}, f"opus → {'x' * 199}…"),
    ],
)
def test_codecs_are_those_asked_for_and_those_that_the_gateway_named(
    requested: dict[str, Any], negotiated: dict[str, Any] | None, name: str
):
    transfer = PLAIN._replace(media_requested=requested, media_negotiated=negotiated)
    assert Codecs()(transfer) == name


def test_a_route_begins_where_a_plan_knows_it():
    assert route(PLAIN) == "genesys://queue/a"
    assert route(PLAIN._replace(origin_uri="genesys://queue/z")) == (
        "genesys://queue/z → genesys://queue/a"
    )


def test_a_name_keeps_the_counts_of_each_kind():
    (found,) = partition(iter([*to("a", 2), *to("a", 3, Outcome.REJECTED)])).breakdowns(5)
    assert [dict(part.counts) for part in found.parts] == [{DONE: 2, REFUSED: 3}]


def test_a_wave_is_named_where_there_are_waves():
    assert wave(PLAIN) is None
    assert wave(PLAIN._replace(wave=3)) == "wave 3"


def test_neighbours_that_share_their_media_share_the_name():
    name = Codecs()
    assert [name(PLAIN), name(PLAIN), name(PLAIN._replace(media_requested=VIDEO))] == [
        "opus",
        "opus",
        "opus + vp8",
    ]


@pytest.mark.parametrize("names", [5, KEPT + 3])
def test_counted_transfers_are_counted_like_each_of_them(names: int):
    outcomes = (Outcome.TRANSFERRED, Outcome.REJECTED, Outcome.TRANSFERRED)
    transfers = [
        PLAIN._replace(destination_uri=f"q{n}", outcome=outcome, wave=1 if n % 2 else None)
        for outcome in outcomes
        for n in range(names)
    ]
    dimensions = {"destination": destination, "wave": wave}
    each = partition(iter(transfers), **dimensions)
    alike = Partition(dimensions, kind, frozenset({REFUSED}))
    counts = Counter((t.destination_uri, t.outcome) for t in transfers)
    firsts = {(t.destination_uri, t.outcome): t for t in reversed(transfers)}
    alike.add_alike((firsts[name], count) for name, count in counts.items())
    alike.add_alike([(PLAIN._replace(destination_uri="q1", wave=1), 2)])
    each.add_all([PLAIN._replace(destination_uri="q1", wave=1)] * 2)
    assert alike.breakdowns(20) == each.breakdowns(20)
    assert alike.kinds == each.kinds
