"""`plan --out` and `apply plan.json`: exactly that plan, or a refusal that names what changed."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from runner.app.plan_check import as_planned, plan_file_of, plan_rows
from runner.app.plan_file import PlanFile, read_plan, write_plan
from runner.app.run_options import RunOptions
from runner.core.errors import ManifestInvalid, UsageError
from runner.core.manifest.model import Environment, GatewayConstraints, Manifest, Policy
from runner.core.manifest.quantity import Amount, Share
from runner.core.records.run_record import PlanFigures
from runner.core.transfer.plan_decision import Action
from runner.core.transfer.rows import TransferRow
from runner.core.transfer.states import Event
from runner.gateways.interaction_transfer.spec import SPEC as INTERACTION_WEBSOCKET
from runner.journal.sqlite.store import Store
from runner.journals import journal_at
from runner.schemas_lookup import schema
from runner.staging.rows import Staging
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.journal.builders import RUN, THERE, Written, begun, located, manifest_rows, opened

MANIFEST = Manifest(
    path="m.yaml",
    sha256="a" * 64,
    name="night",
    environment=Environment("production", INTERACTION_WEBSOCKET, "edge"),
    gateway=GatewayConstraints("edge", 1000, ("opus",), 30),
    callbacks={},
    policy=Policy(),
)
FIGURES = PlanFigures(0, 0, 0, 0, None)


class Desk:
    """A folder with a journal, where plans are made and held to."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "production.db"
        self.out = folder / "plan.json"
        self.store: Store | None = None

    def run(self, rows: Sequence[TransferRow]) -> Written:
        """Begin a run in the journal."""
        self.store = self.store or opened(self.journal)
        return begun(self.store, rows)

    def plan(self, rows: Sequence[TransferRow], **options: Any) -> PlanFile:
        """Plan rows by the history as it is, write the plan and read it back."""
        request = RunOptions(Path("m.yaml"), journal=located(self.journal), **options)
        with Staging() as staging:
            self._plan(request, MANIFEST, staging, rows)
            drawn = plan_file_of(request, MANIFEST, staging, RUN, self.out)
        write_plan(drawn, FIGURES)
        read = read_plan(self.out)
        assert read == drawn
        return drawn

    def apply(
        self, rows: Sequence[TransferRow], manifest: Manifest = MANIFEST
    ) -> dict[str, Action]:
        """Hold rows to the plan that was written; return what is to be done with each."""
        request = as_planned(RunOptions(self.out))
        with Staging() as staging:
            self._plan(request, manifest, staging, rows)
            return {row.key: verdict.action for row, verdict in staging.planned()}

    def refusal(self, rows: Sequence[TransferRow], manifest: Manifest = MANIFEST) -> str:
        """Return what is told when the plan no longer holds."""
        with pytest.raises(ManifestInvalid) as caught:
            self.apply(rows, manifest)
        return "\n".join(f"{p.code} {p.place}: {p.message}" for p in caught.value.problems)

    def _plan(
        self, request: RunOptions, manifest: Manifest, staging: Staging, rows: Sequence[TransferRow]
    ) -> None:
        for row in rows:
            staging.add(row)
        plan_rows(request, manifest, staging, journal_at(located(self.journal)))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    if made.store is not None:
        made.store.close()


def test_a_plan_that_still_holds_is_carried_out(desk: Desk):
    rows = manifest_rows(3)
    desk.plan(rows)
    assert desk.apply(rows) == dict.fromkeys(("k0", "k1", "k2"), Action.SEND)


def test_the_file_is_private_and_of_its_schema(desk: Desk):
    desk.plan(manifest_rows(2))
    assert stat.S_IMODE(desk.out.stat().st_mode) == 0o600
    jsonschema_rs.validator_for(schema("plan.v1")).validate(json.loads(desk.out.read_text()))
    assert '\n    ["k1", "send", "' in desk.out.read_text()


def test_what_the_plan_itself_carried_out_makes_it_no_staler(desk: Desk):
    """Its run ended halfway: one done, one in doubt, one refused, one yet to come."""
    rows = manifest_rows(4)
    desk.plan(rows)
    run = desk.run(rows)
    run.go("k0", Event.INTENT, Event.ACCEPTED)
    run.go("k1", Event.INTENT, Event.LOST)
    run.go("k2", Event.INTENT, Event.DENIED)
    assert desk.apply(rows) == {
        "k0": Action.UNCHANGED,
        "k1": Action.IN_DOUBT,
        "k2": Action.SEND,
        "k3": Action.SEND,
    }


def test_again_means_once_for_each_plan(desk: Desk):
    rows = manifest_rows(2)
    desk.run(rows).go("k0", Event.INTENT, Event.ACCEPTED)
    desk.plan(rows, again=True)
    assert desk.apply(rows)["k0"] is Action.SEND
    desk.run([replace(rows[0], interaction_id="i1", key="k1")]).go(
        "k1", Event.INTENT, Event.ACCEPTED
    )
    assert desk.apply(rows) == {"k0": Action.SEND, "k1": Action.UNCHANGED}


def test_what_a_limit_left_out_stays_left_out(desk: Desk):
    rows = manifest_rows(4)
    desk.plan(rows, limit=2)
    desk.run(rows[:1]).go("k0", Event.INTENT, Event.ACCEPTED)
    assert desk.apply(rows) == {
        "k0": Action.UNCHANGED,
        "k1": Action.SEND,
        "k2": Action.NOT_SELECTED,
        "k3": Action.NOT_SELECTED,
    }


def test_what_failed_before_is_marked_and_stays_last(desk: Desk):
    """Also what failed under the plan itself, which is applied again."""
    rows = manifest_rows(3)
    desk.run(rows).go("k0", Event.INTENT, Event.DENIED, reason="transfer_rejected")
    plan = desk.plan(rows)
    assert plan.failed_as == {"k0": "transfer_rejected"}
    told = json.loads(desk.out.read_text())
    jsonschema_rs.validator_for(schema("plan.v1")).validate(told)
    assert [row[3:] for row in told["rows"]] == [["transfer_rejected"], [], []]
    desk.run(rows).go("k1", Event.INTENT, Event.DENIED, reason="destination_invalid")
    assert desk.apply(rows) == dict.fromkeys(("k0", "k1", "k2"), Action.SEND)


def test_a_limited_plan_that_is_applied_again_takes_its_failures_up_again(desk: Desk):
    """By themselves they would now come behind the rows that the limit left out."""
    rows = manifest_rows(4)
    desk.plan(rows, limit=2)
    desk.run(rows[:1]).go("k0", Event.INTENT, Event.DENIED)
    assert desk.apply(rows) == {
        "k0": Action.SEND,
        "k1": Action.SEND,
        "k2": Action.NOT_SELECTED,
        "k3": Action.NOT_SELECTED,
    }


def test_it_selects_as_planned(desk: Desk):
    desk.plan(manifest_rows(3), only=("k1",))
    assert desk.apply(manifest_rows(3))["k1"] is Action.SEND
    assert desk.apply(manifest_rows(3))["k0"] is Action.NOT_SELECTED


def _moved(rows: list[TransferRow]) -> list[TransferRow]:
    return [replace(rows[0], destination_uri=THERE), *rows[1:]]


def _more(rows: list[TransferRow]) -> list[TransferRow]:
    return [*rows, TransferRow("new", "i9", THERE, rows[0].media, (), "m.yaml:9")]


def _turned(rows: list[TransferRow]) -> list[TransferRow]:
    """Return the rows so that others would be in the first wave."""
    return rows[::-1]


def _fewer(rows: list[TransferRow]) -> list[TransferRow]:
    return rows[1:]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_moved, "P002 m.yaml:0:1: `k0` has changed since the plan: its interaction, destination"),
        (_more, "P002 m.yaml:9:1: `new` has changed since the plan: it is not in the plan"),
        (_fewer, "the manifest no longer has `k0`"),
        (_turned, "`k1` has changed since the plan: its place among the rows is not the plan's"),
    ],
)
def test_other_rows_are_refused_by_name(
    desk: Desk, change: Callable[[list[TransferRow]], list[TransferRow]], told: str
):
    rows = manifest_rows(3)
    desk.plan(rows)
    assert told in desk.refusal(change(rows))


def test_another_manifest_is_refused(desk: Desk):
    desk.plan(manifest_rows(1))
    told = desk.refusal(manifest_rows(1), replace(MANIFEST, sha256="b" * 64))
    assert "P002 m.yaml:1:1: the manifest has changed since the plan of 2027-01-15" in told


def test_history_that_would_move_someone_who_was_moved_elsewhere_is_refused(desk: Desk):
    rows = manifest_rows(2)
    desk.plan(rows)
    run = desk.run(manifest_rows(1, destination_uri=THERE))
    run.go("k0", Event.INTENT, Event.ACCEPTED)
    assert f"run {run.store.run_id} moved its interaction to {THERE} since" in desk.refusal(rows)


def test_a_doubt_that_was_settled_as_not_carried_out_is_not_in_the_plan(desk: Desk):
    rows = manifest_rows(1)
    run = desk.run(rows)
    run.go("k0", Event.INTENT, Event.LOST)
    desk.plan(rows)
    run.go("k0", Event.DISOWNED)
    assert "the plan says `in_doubt`, and by its history now it is `send`" in desk.refusal(rows)


def test_another_journal_is_refused(desk: Desk, tmp_path: Path):
    rows = manifest_rows(1)
    desk.run(rows)
    desk.plan(rows)
    gone = desk.journal.rename(tmp_path / "elsewhere.db")
    assert f"the journal {desk.journal} is gone" in desk.refusal(rows)
    opened(desk.journal).close()
    assert "is another one than the plan's" in desk.refusal(rows)
    gone.rename(desk.journal)


def test_a_mistyped_journal_is_named_and_the_plans_own_is_not_called_gone(desk: Desk):
    rows = manifest_rows(1)
    written = desk.run(rows)
    written.go("k0", Event.INTENT, Event.ACCEPTED)
    written.finish()
    desk.plan(rows)
    right, desk.journal = desk.journal, desk.journal.with_name("other.db")
    with pytest.raises(ManifestInvalid) as caught:
        desk.apply(rows)
    [problem] = caught.value.problems
    assert problem.message == f"the journal {desk.journal} does not exist, and is not the plan's"
    assert problem.help == f"leave --journal (and its variable) out: the plan's journal is {right}"


def test_many_changes_are_named_up_to_a_bound(desk: Desk):
    desk.plan(manifest_rows(80))
    told = desk.refusal(manifest_rows(80, destination_uri=THERE)).splitlines()
    assert len(told) == 51
    assert "30 more rows have changed" in told[-1]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"environment": "demo"}, "--env demo is not @ (--env production)"),
        ({"limit": 3}, "--limit 3 is not @ (--limit 2)"),
        ({"only": ("k*", "b")}, "--only 'k*' --only b is not @ (--only k0)"),
        ({"again": True}, "--again is not @ (without --again)"),
        ({"max_failures": 0}, "--max-failures 0 is not @ (without --max-failures)"),
        ({"max_failures": Share(0.05)}, "--max-failures 5% is not @ (without --max-failures)"),
    ],
)
def test_options_that_ask_for_something_else_are_refused(
    desk: Desk, option: dict[str, Any], told: str
):
    desk.plan(manifest_rows(1), limit=2, only=("k0",))
    with pytest.raises(ManifestInvalid) as caught:
        as_planned(RunOptions(desk.out, **option))
    told = told.replace("@", "what the plan was made with")
    assert [problem.message for problem in caught.value.problems] == [told]


def test_the_pace_may_be_lowered_when_it_is_applied(desk: Desk):
    desk.plan(manifest_rows(1), rate_per_s=10.0)
    assert as_planned(RunOptions(desk.out)).rate_per_s == 10.0
    assert as_planned(RunOptions(desk.out, rate_per_s=5.0)).rate_per_s == 5.0


@pytest.mark.parametrize("borne", [0, 20, Share(0.05)])
def test_the_allowed_failures_belong_to_the_plan(desk: Desk, borne: Amount):
    desk.plan(manifest_rows(1), max_failures=borne)
    jsonschema_rs.validator_for(schema("plan.v1")).validate(json.loads(desk.out.read_text()))
    assert as_planned(RunOptions(desk.out)).max_failures == borne
    assert as_planned(RunOptions(desk.out, max_failures=borne)).max_failures == borne


def test_a_digest_of_the_rows_alone_is_none(desk: Desk):
    desk.plan(manifest_rows(1))
    told = json.loads(desk.out.read_text())
    told["options"]["max_failures"] = "90%"
    rows = "".join(map(json.dumps, told["rows"]))
    told["digest"] = hashlib.sha256(rows.encode()).hexdigest()
    desk.out.write_text(json.dumps(told))
    with pytest.raises(ManifestInvalid) as refused:
        as_planned(RunOptions(desk.out))
    assert "it was edited" in refused.value.problems[0].message


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda text: text.replace('"k0", "send"', '"k0", "unchanged"'), "it was edited"),
        (lambda text: re.sub(r'"rate_per_s": [^,]*', '"rate_per_s": 1000', text), "it was edited"),
        (lambda text: re.sub(r'"limit": [^,]*', '"limit": 7', text), "it was edited"),
        (
            lambda text: re.sub(r'"max_failures": .*', '"max_failures": "90%"', text),
            "it was edited",
        ),
        (lambda text: text.replace('"again": false', '"again": true'), "it was edited"),
        (
            lambda text: re.sub(r'"last_transfer_id": .*', '"last_transfer_id": 9', text),
            "it was edited",
        ),
        (lambda text: re.sub(r'"seq": .*,', '"seq": 3,', text), "it was edited"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2, not 1"),
        (lambda text: text[: len(text) // 2], "it cannot be read"),
        (lambda text: text.replace('"again":', '"again": true, "again":'), "the same name twice"),
        (lambda text: text.replace('"batch"', '"bath"'), "at the whole"),
        (
            lambda text: text.replace('"last_transfer_id": ', f'"last_transfer_id": {10**19}'),
            "at journal/last_transfer_id",
        ),
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(
    desk: Desk, edit: Callable[[str], str], told: str
):
    desk.plan(manifest_rows(2))
    desk.out.write_text(edit(desk.out.read_text()))
    with pytest.raises(ManifestInvalid) as caught:
        as_planned(RunOptions(desk.out))
    [problem] = caught.value.problems
    assert problem.code == "P001"
    assert told in problem.message


def test_a_plan_that_an_editor_saved_with_a_mark_of_its_encoding_is_still_a_plan(desk: Desk):
    plan = desk.plan(manifest_rows(1))
    desk.out.write_text(desk.out.read_text(), encoding="utf-8-sig", newline="\r\n")
    assert as_planned(RunOptions(desk.out)).plan == plan


def test_a_reformatted_plan_is_still_a_plan(desk: Desk):
    desk.plan(manifest_rows(2))
    told = json.loads(desk.out.read_text())
    desk.out.write_text(json.dumps(dict(reversed(told.items())), indent=8))
    assert as_planned(RunOptions(desk.out)).plan is not None


def test_a_manifest_is_not_a_plan_and_is_not_overwritten_by_one(desk: Desk):
    for text in ("version: 1\n", '{"version": 1, "name": "x"}', ""):
        desk.out.write_text(text)
        assert read_plan(desk.out) is None
        with pytest.raises(UsageError, match="exists and is not a plan"):
            desk.plan(manifest_rows(1))
        assert desk.out.read_text() == text


def test_the_plan_of_another_batch_is_not_overwritten(desk: Desk):
    """People may have signed it; that of the same batch is made anew under the same name."""
    made = desk.plan(manifest_rows(1))
    before = desk.out.read_bytes()
    with pytest.raises(
        UsageError, match=r"plan\.json is the plan of another batch, night; give --out"
    ):
        write_plan(replace(made, batch="night-undo"), FIGURES)
    assert desk.out.read_bytes() == before
    desk.plan(manifest_rows(2))
    assert desk.out.read_bytes() != before
    desk.out.write_bytes(before[: len(before) // 2])  # damaged: it can no longer be applied
    desk.plan(manifest_rows(2))


def test_the_command_applies_its_plan_and_refuses_another_manifest(
    gateway: Gateway, harness: Harness
):
    """Half of it fails at first; the same plan, applied again, sends the rest alone."""
    gateway.default = Step("destination_unreachable")
    good = transfer()
    gateway.scripts[good["interaction_id"]] = [Step()]
    content = manifest(gateway, [good, transfer()])
    content["policy"]["negotiation_timeout"] = "60s"
    path = harness.write(content)
    planned = harness.run("plan", path, "--out", "plan.json", "--detailed-exitcode")
    assert planned.code == 10, planned.err
    assert (refused := harness.run("plan", path, "--out", "-")).code == 2
    assert "a plan that is written down is a file" in refused.err
    assert not (harness.folder / "-").exists()
    assert harness.run("apply", "plan.json").code == 1
    gateway.default = Step()
    assert harness.run("apply", "plan.json").code == 0
    assert len(gateway.effects) == 2
    path.write_text(path.read_text() + "\n# a word more\n")
    refused = harness.run("apply", "plan.json")
    assert refused.code == 3
    assert "error[P002]: the manifest has changed since the plan" in refused.err
