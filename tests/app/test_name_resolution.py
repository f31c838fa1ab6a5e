"""Names become ids and selections become rows, once, before anything is planned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from runner.app.name_resolution import NOTHING_FOUND, Found, find, is_open, unknown_yet
from runner.app.plan_file import row_digest
from runner.core.errors import ManifestInvalid
from runner.core.manifest.model import Environment, GatewayConstraints, Manifest, Policy
from runner.core.manifest.queue_selection import Waiting
from runner.core.transfer.lookup_verdict import FoundAt
from runner.core.transfer.rows import TransferRow
from runner.gateways.genesys_cloud.spec import SPEC as GENESYS_CLOUD
from runner.gateways.interaction_transfer.spec import SPEC as INTERACTION_WEBSOCKET
from runner.staging.rows import Selection, Staging
from tests.core.manifest.builders import NOW, VOICE, selection

MANIFEST = Manifest(
    "m.yaml", "0" * 64, "evacuate",
    Environment("production", GENESYS_CLOUD, "edge"),
    GatewayConstraints("edge", 1024, ("opus",), 30), {}, Policy(),
)  # fmt: skip
OTHER = replace(MANIFEST, environment=Environment("e", INTERACTION_WEBSOCKET, "edge"))
NEW, OLD, ADA = (f"3f2504e0-4f89-41d3-9a0c-0305e82c330{n}" for n in (1, 2, 3))


@dataclass
class FakeDirectory:
    """Implements `ports.Directory`."""

    ids: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    queues: dict[str, list[Waiting]] = field(default_factory=dict)
    served: dict[str, list[Waiting]] = field(default_factory=dict)
    serving: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def ids_of(self, kind: str, name: str) -> Sequence[str]:
        """Return what was told."""
        self.asked.append((kind, name))
        return self.ids.get((kind, name), [])

    async def waiting(self, queue_id: str) -> Sequence[Waiting]:
        """Return what was told."""
        self.asked.append(("waiting", queue_id))
        return self.queues.get(queue_id, [])

    async def connected(self, queue_id: str) -> Sequence[Waiting]:
        """Return what was told."""
        self.asked.append(("connected", queue_id))
        return self.served.get(queue_id, [])

    async def served_by(self, interaction_id: str, user_id: str) -> str | None:
        """Return what was told."""
        return self.serving.get((interaction_id, user_id))


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging() as opened:
        yield opened


def listed(staging: Staging, interaction_id: str, uri: str) -> None:
    staging.add(TransferRow(interaction_id, interaction_id, uri, VOICE, (), "m.yaml:20"))


def found_in(staging: Staging, directory: FakeDirectory) -> Found:
    found = asyncio.run(find(staging, directory, now=NOW))
    found.put_into(staging)
    return found


def planned(staging: Staging) -> list[tuple[str, str, str]]:
    staging.plan(None, Selection())
    return [(row.key, row.destination_uri, row.source) for row, _ in staging.planned()]


def test_names_are_looked_up_once_each_and_become_ids(staging: Staging):
    for interaction_id in ("i1", "i2"):
        listed(staging, interaction_id, "genesys://queue/Billing New")
    listed(staging, "i3", "genesys://user/Ada")
    listed(staging, "i4", "tel:+441234567890")
    assert is_open(MANIFEST, staging)
    directory = FakeDirectory({("queue", "Billing New"): [NEW], ("user", "Ada"): [ADA]})
    found = found_in(staging, directory)
    assert sorted(directory.asked) == [("queue", "Billing New"), ("user", "Ada")]
    assert not is_open(MANIFEST, staging)
    assert [uri for _, uri, _ in planned(staging)] == [
        f"genesys://queue/{NEW}",
        f"genesys://queue/{NEW}",
        f"genesys://user/{ADA}",
        "tel:+441234567890",
    ]
    assert found.explanation == "2 names looked up"


def test_a_selection_becomes_rows_behind_those_that_are_listed(staging: Staging):
    listed(staging, "i1", f"genesys://queue/{NEW}")
    staging.select(selection(queue="Billing Old", limit=2, destination_uri="genesys://queue/New"))
    staging.select(selection(queue=OLD, destination_uri=f"genesys://user/{ADA}", source="m.yaml:9"))
    waiting = [Waiting(f"i{n}", "call", NOW - n) for n in (1, 2, 3, 4)]
    directory = FakeDirectory(
        {("queue", "Billing Old"): [OLD], ("queue", "New"): [NEW]}, {OLD: waiting}
    )
    found = found_in(staging, directory)
    assert planned(staging) == [
        ("i1", f"genesys://queue/{NEW}", "m.yaml:20"),
        ("i4", f"genesys://queue/{NEW}", "m.yaml:7"),
        ("i3", f"genesys://queue/{NEW}", "m.yaml:7"),
        ("i2", f"genesys://user/{ADA}", "m.yaml:9"),
    ]
    assert found.explanation == (
        "1 name looked up; "
        "queue Billing Old: 2 selected, left out: 1 beyond the limit, "
        "1 listed in the manifest already; "
        f"queue {OLD}: 1 selected, left out: 3 listed in the manifest already"
    )


def test_names_of_nobody_and_of_several_are_problems_that_say_where(staging: Staging):
    listed(staging, "i1", "genesys://queue/Biling")
    staging.select(selection(queue="Twice"))
    directory = FakeDirectory({("queue", "Twice"): [OLD, NEW], ("queue", "new"): [NEW]})
    with pytest.raises(ManifestInvalid) as refused:
        found_in(staging, directory)
    told = [(str(p.place), p.code, p.message, p.help) for p in refused.value.problems]
    assert told == [
        (
            "m.yaml:20:1",
            "R001",
            "no queue is named `Biling`",
            (
                "check its spelling in the organisation, and that the client may see the queue (its"
                " division); or write the queue's id"
            ),
        ),
        (
            "m.yaml:7:1",
            "R001",
            "2 queues are named `Twice`",
            f"write the id of the one that is meant: {OLD}, {NEW}",
        ),
    ]


def test_what_was_found_is_kept_by_a_plan_and_taken_from_it(staging: Staging):
    staging.select(selection(queue=OLD, destination_uri="genesys://queue/New"))
    directory = FakeDirectory({("queue", "New"): [NEW]}, {OLD: [Waiting("i7", "email")]})
    found = asyncio.run(find(staging, directory, now=NOW))
    again = Found.from_json(found.to_json())
    assert (again.addresses, again.rows) == (found.addresses, found.rows)
    assert again.rows[0].found_at == FoundAt(f"genesys://queue/{OLD}", OLD)
    again.put_into(staging)
    assert planned(staging) == [("i7", f"genesys://queue/{NEW}", "m.yaml:7")]


def test_a_plan_made_offline_says_what_it_cannot_know(staging: Staging):
    listed(staging, "i1", "genesys://queue/Billing")
    staging.select(selection())
    assert unknown_yet(MANIFEST, staging) == (
        "what 1 selection will find is not known yet; 1 destination by name, whose id is not known"
        " yet: `plan --preflight` and `apply` ask the gateway"
    )
    assert NOTHING_FOUND.explanation == ""


def test_where_a_gateway_knows_no_names_every_destination_is_an_id(staging: Staging):
    listed(staging, "i1", "genesys://queue/billing-new")
    assert not is_open(OTHER, staging)
    assert unknown_yet(OTHER, staging) is None


def places(staging: Staging) -> dict[str, FoundAt | None]:
    staging.plan(None, Selection())
    return {row.key: row.found_at for row, _ in staging.planned()}


def test_a_selected_row_carries_its_queue_and_a_listed_one_carries_none(staging: Staging):
    listed(staging, "i1", f"genesys://queue/{NEW}")
    staging.select(selection(queue="Billing Old", destination_uri=f"genesys://queue/{NEW}"))
    directory = FakeDirectory({("queue", "Billing Old"): [OLD]}, {OLD: [Waiting("i2", "call")]})
    found_in(staging, directory)
    assert places(staging) == {
        "i1": None,
        "i2": FoundAt(f"genesys://queue/{OLD}", "Billing Old"),
    }


def test_what_agents_serve_carries_the_agents_participant(staging: Staging):
    connected = replace(
        selection(queue=OLD), destination_uri=f"genesys://queue/{NEW}", is_connected=True
    )
    staging.select(connected)
    directory = FakeDirectory(
        served={OLD: [Waiting(f"i{n}", "call", NOW, user_id=ADA) for n in (1, 2)]},
        serving={("i1", ADA): "p-1"},
    )
    found = found_in(staging, directory)
    assert directory.asked == [("connected", OLD)]
    assert places(staging) == {"i1": FoundAt(f"genesys://queue/{OLD}", OLD, "p-1")}
    told = f"queue {OLD}: 1 selected, left out: 1 no longer with its agent"
    assert found.explanation == told
    again = Found.from_json(found.to_json())
    assert again.rows == found.rows


def test_where_a_row_was_found_is_part_of_what_a_plan_holds(staging: Staging):
    staging.select(selection(queue=OLD, destination_uri=f"genesys://queue/{NEW}"))
    found_in(staging, FakeDirectory(queues={OLD: [Waiting("i1", "call")]}))
    staging.plan(None, Selection())
    ((row, _),) = staging.planned()
    elsewhere = replace(row, found_at=FoundAt(f"genesys://queue/{NEW}", OLD))
    assert len({row_digest(each) for each in (row, elsewhere, replace(row, found_at=None))}) == 3
