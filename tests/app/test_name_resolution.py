"""Names become ids and selections become rows, once, before anything is planned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.app.name_resolution import (
    NOTHING_ASKED,
    DirectoryAnswers,
    needs_directory,
    resolve_names,
    unresolved_text,
)
from runner.app.plan_file import row_digest
from runner.core.errors import ManifestInvalid
from runner.core.manifest.destinations import DestinationLimits, DestinationTable
from runner.core.manifest.model import Environment, GatewayConstraints, Manifest, Policy
from runner.core.manifest.queue_selection import Listing, Waiting
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
    since_s: float | None = None

    async def ids_of(self, kind: str, name: str) -> Sequence[str]:
        """Return the prepared answer."""
        self.asked.append((kind, name))
        return self.ids.get((kind, name), [])

    async def waiting(self, queue_id: str) -> Listing:
        """Return the prepared answer."""
        self.asked.append(("waiting", queue_id))
        return Listing(self.queues.get(queue_id, []), self.since_s)

    async def connected(self, queue_id: str) -> Listing:
        """Return the prepared answer."""
        self.asked.append(("connected", queue_id))
        return Listing(self.served.get(queue_id, []))

    async def held_by(self, user_id: str) -> Listing:
        """Return the prepared answer."""
        self.asked.append(("held_by", user_id))
        served = [one for each in self.served.values() for one in each]
        return Listing([one for one in served if one.user_id == user_id])

    async def served_by(self, interaction_id: str, user_id: str) -> str | None:
        """Return the prepared answer."""
        return self.serving.get((interaction_id, user_id))


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging() as opened:
        yield opened


def listed(staging: Staging, interaction_id: str, uri: str) -> None:
    staging.add(TransferRow(interaction_id, interaction_id, uri, VOICE, (), "m.yaml:20"))


def found_in(staging: Staging, directory: FakeDirectory) -> DirectoryAnswers:
    found = asyncio.run(resolve_names(staging, directory, now=NOW))
    found.add_to(staging)
    return found


def planned(staging: Staging) -> list[tuple[str, str, str]]:
    staging.plan(None, Selection())
    return [(row.key, row.destination_uri, row.source) for row, _ in staging.planned()]


def test_names_are_looked_up_once_each_and_become_ids(staging: Staging):
    for interaction_id in ("i1", "i2"):
        listed(staging, interaction_id, "genesys://queue/Billing New")
    listed(staging, "i3", "genesys://user/Ada")
    listed(staging, "i4", "tel:+441234567890")
    assert needs_directory(MANIFEST, staging)
    directory = FakeDirectory({("queue", "Billing New"): [NEW], ("user", "Ada"): [ADA]})
    found = found_in(staging, directory)
    assert sorted(directory.asked) == [("queue", "Billing New"), ("user", "Ada")]
    assert not needs_directory(MANIFEST, staging)
    assert [uri for _, uri, _ in planned(staging)] == [
        f"genesys://queue/{NEW}",
        f"genesys://queue/{NEW}",
        f"genesys://user/{ADA}",
        "tel:+441234567890",
    ]
    assert found.explanation == "2 names looked up"


def test_limits_of_a_beginning_hold_for_queues_by_their_names(staging: Staging):
    listed(staging, "i1", "genesys://queue/Billing Overflow")
    listed(staging, "i2", "genesys://queue/Sales")
    few, rest = (
        DestinationLimits(pattern=f"genesys://queue/{start}*", in_flight=1)
        for start in ("Billing O", "")
    )
    found = found_in(
        staging, FakeDirectory({("queue", "Billing Overflow"): [NEW], ("queue", "Sales"): [OLD]})
    )
    limits = found.resolved(replace(MANIFEST, destinations=DestinationTable((rest, few))))
    assert limits.destinations.limits_of(f"genesys://queue/{NEW.upper()}") == few
    assert limits.destinations.limits_of(f"genesys://queue/{OLD}") == rest


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


def test_how_far_back_a_directory_looked_is_said(staging: Staging):
    staging.select(selection(queue=OLD, destination_uri=f"genesys://queue/{NEW}"))
    waiting = [Waiting("i1", "email"), Waiting("i2", "chat")]
    directory = FakeDirectory(queues={OLD: waiting}, since_s=1_780_000_000.0)
    assert found_in(staging, directory).explanation == (
        f"queue {OLD}: 1 selected of those that began since 2026-05-28, left out: 1 of another"
        " media type"
    )


def test_unknown_and_ambiguous_names_are_problems_with_their_place(staging: Staging):
    listed(staging, "i1", "genesys://queue/Biling")
    staging.select(selection(queue="Twice"))
    directory = FakeDirectory({("queue", "Twice"): [OLD, NEW], ("queue", "new"): [NEW]})
    with pytest.raises(ManifestInvalid) as refused:
        found_in(staging, directory)
    problems = [(str(p.place), p.code, p.message, p.help) for p in refused.value.problems]
    assert problems == [
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
            f"write the id of the right one: {OLD}, {NEW}",
        ),
    ]


def test_what_was_found_is_kept_by_a_plan_and_taken_from_it(staging: Staging):
    staging.select(selection(queue=OLD, destination_uri="genesys://queue/New"))
    directory = FakeDirectory({("queue", "New"): [NEW]}, {OLD: [Waiting("i7", "email")]})
    found = asyncio.run(resolve_names(staging, directory, now=NOW))
    again = DirectoryAnswers.from_json(found.to_json())
    assert (again.addresses, again.rows) == (found.addresses, found.rows)
    assert again.rows[0].found_at == FoundAt(f"genesys://queue/{OLD}", OLD)
    again.add_to(staging)
    assert planned(staging) == [("i7", f"genesys://queue/{NEW}", "m.yaml:7")]


def test_a_plan_made_offline_says_what_it_cannot_know(staging: Staging):
    listed(staging, "i1", "genesys://queue/Billing")
    staging.select(selection())
    assert unresolved_text(MANIFEST, staging) == (
        "what 1 selection will find is not known yet; 1 destination by name, whose id is not known"
        " yet: `plan --preflight` and `apply` ask the gateway"
    )
    assert NOTHING_ASKED.explanation == ""


def test_where_a_gateway_knows_no_names_every_destination_is_an_id(staging: Staging):
    listed(staging, "i1", "genesys://queue/billing-new")
    assert not needs_directory(OTHER, staging)
    assert unresolved_text(OTHER, staging) is None


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
    expected = f"queue {OLD}: 1 selected, left out: 1 no longer with its agent"
    assert found.explanation == expected
    again = DirectoryAnswers.from_json(found.to_json())
    assert again.rows == found.rows


@pytest.mark.parametrize("holder", [ADA, OLD])
@pytest.mark.parametrize("order", [(ADA, OLD), (OLD, ADA)])
def test_of_two_agents_in_a_conversation_the_one_who_holds_it_is_found(
    staging: Staging, holder: str, order: tuple[str, str]
):
    to = {"destination_uri": f"genesys://queue/{NEW}", "is_connected": True}
    staging.select(selection(queue=OLD, held_by=holder, **to))
    staging.select(selection(queue=OLD, **to))
    served = [Waiting("i1", "call", NOW, user_id=each) for each in order]
    served += [Waiting("i2", "call", NOW, user_id=each) for each in order]
    directory = FakeDirectory(served={OLD: served}, serving={("i1", holder): "p-1"})
    found = found_in(staging, directory)
    assert places(staging) == {"i1": FoundAt(f"genesys://queue/{OLD}", OLD, "p-1")}
    assert found.explanation == (
        f"queue {OLD}: 1 selected, left out: 1 no longer with its agent; "
        f"queue {OLD}: 0 selected, left out: 1 listed in the manifest already, 1 no longer with its agent"
    )


def test_where_a_row_was_found_is_part_of_what_a_plan_holds(staging: Staging):
    staging.select(selection(queue=OLD, destination_uri=f"genesys://queue/{NEW}"))
    found_in(staging, FakeDirectory(queues={OLD: [Waiting("i1", "call")]}))
    staging.plan(None, Selection())
    ((row, _),) = staging.planned()
    elsewhere = replace(row, found_at=FoundAt(f"genesys://queue/{NEW}", OLD))
    assert len({row_digest(each) for each in (row, elsewhere, replace(row, found_at=None))}) == 3


def test_what_was_found_has_the_names_of_its_places():
    at = FoundAt(f"genesys://queue/{NEW}", "Billing EU")
    nameless = FoundAt(f"genesys://queue/{OLD}", OLD)
    rows = [
        TransferRow("i", "i", f"genesys://user/{ADA}", VOICE, (), "m.yaml:20", each)
        for each in (at, nameless, None)
    ]
    found = DirectoryAnswers({"genesys://user/Ada%20L": f"genesys://user/{ADA}"}, rows)
    assert found.place_names == {
        f"genesys://user/{ADA}": "Ada L",
        f"genesys://queue/{NEW}": "Billing EU",
    }


def test_what_an_agent_holds_is_selected_whatever_queue_it_came_by(staging: Staging):
    staging.select(
        selection(queue=None, held_by="Ada", is_connected=True, destination_uri="tel:+4412345")
    )
    served = [Waiting("i1", "email", NOW, ADA), Waiting("i2", "call", NOW, OLD)]
    directory = FakeDirectory({("user", "Ada"): [ADA]}, served={OLD: served})
    directory.serving = {("i1", ADA): "p-1"}
    found = found_in(staging, directory)
    assert places(staging) == {"i1": FoundAt(f"genesys://user/{ADA}", "Ada", "p-1")}
    assert found.explanation == "user Ada: 1 selected"
    assert found.place_names == {f"genesys://user/{ADA}": "Ada"}


def test_skill_language_and_agent_are_compared_by_their_ids(staging: Staging):
    wishes = {"held_by": ADA.upper(), "skill": "Invoices", "language": "German"}
    staging.select(
        selection(queue=OLD, is_connected=True, destination_uri=f"genesys://queue/{NEW}", **wishes)
    )
    fits: dict[str, Any] = {"skill_ids": (NEW,), "language_id": OLD}
    served = [
        Waiting("i1", "call", NOW, ADA, **fits),
        Waiting("i2", "call", NOW, ADA, skill_ids=(NEW,)),
        Waiting("i3", "call", NOW, NEW, **fits),
    ]
    ids = {("skill", "Invoices"): [NEW], ("language", "German"): [OLD]}
    directory = FakeDirectory(ids, served={OLD: served})
    directory.serving = {("i1", ADA): "p-1"}
    found = found_in(staging, directory)
    assert list(places(staging)) == ["i1"]
    assert found.explanation == (
        f"queue {OLD}: 1 selected, left out: 1 of another language, 1 served by another agent"
    )


def test_a_queue_by_an_id_in_capitals_is_asked_for_as_the_gateway_spells_it(staging: Staging):
    staging.select(selection(queue=OLD.upper(), destination_uri=f"genesys://queue/{NEW}"))
    directory = FakeDirectory(queues={OLD: [Waiting("i1", "call")]})
    found = found_in(staging, directory)
    assert places(staging) == {"i1": FoundAt(f"genesys://queue/{OLD}", OLD.upper())}
    assert found.explanation == f"queue {OLD.upper()}: 1 selected"


def test_a_skill_that_there_is_not_is_a_problem_with_its_place(staging: Staging):
    staging.select(selection(queue=OLD, skill="Invoces", destination_uri=f"genesys://queue/{NEW}"))
    with pytest.raises(ManifestInvalid) as refused:
        found_in(staging, FakeDirectory())
    [problem] = refused.value.problems
    assert (str(problem.place), problem.message) == ("m.yaml:7:1", "no skill is named `Invoces`")


def test_a_name_that_is_unknown_is_found_in_its_entry(tmp_path: Path):
    path = tmp_path / "m.yaml"
    path.write_text("transfers:\n  - select:\n      queue: Billing\n  - {interaction_id: a}\n")
    rows = tmp_path / "r.csv"
    rows.write_text("interaction_id,to\nb,other\nc,genesys://queue/Billing\n")
    for source, line, column in ((f"{path}:2", 3, 14), (f"{rows}:2", 2, 1), (f"{rows}:3", 3, 19)):
        with Staging() as one:
            uri = "genesys://queue/Billing"
            one.add(TransferRow("i", "i", uri, VOICE, (), source))
            with pytest.raises(ManifestInvalid) as refused:
                found_in(one, FakeDirectory({("queue", "Billing"): []}))
        (problem,) = refused.value.problems
        assert (problem.place.line, problem.place.column) == (line, column)
