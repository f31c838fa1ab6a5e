"""`doctor --probe` moves one conversation there and back, once each, and keeps no customer's data."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.simulator.genesys_cloud.entities import make_id
from tests.e2e.harness import PATIENCE_S, Ended, Harness, started
from tests.e2e.platform_builders import NUMBER, QUEUE, USER, conversation, document
from tests.signatures.openssh import make_key, needs_openssh, public, sign

ONE = conversation(1)


def probed(
    harness: Harness, *options: str, to: str = QUEUE, **simulator: Any
) -> tuple[Ended, dict[str, Any]]:
    path = harness.write(document({"interaction_id": conversation(2)}, **simulator))
    given = ("--probe", ONE, "--probe-to", to, "--probe-out", "probe.json", "--yes", *options)
    ended = harness.run("doctor", path, *given)
    file = harness.folder / "probe.json"
    return ended, json.loads(file.read_text("utf-8")) if file.exists() else {}


def test_it_goes_there_and_back_and_the_file_answers_what_was_open(harness: Harness):
    ended, result = probed(harness)
    assert ended.code == 0, ended.out + ended.err
    assert (result["there"]["end"], result["back"]["end"]) == ("arrived", "arrived")
    assert result["there"]["answer"]["status"] == 202
    assert {each["how"] for each in result["there"]["seen"]} == {"event", "look-up"}
    answers = list(result["answers"].values())
    assert answers[0].startswith("replace/queue of acd")
    assert "202, arrived" in answers[0]
    assert "yes: " in answers[1]
    assert answers[2].startswith("200, fields grants")
    assert all(answer in ended.out for answer in answers)
    assert len(ended.logged("watching what the platform shows, for 70 s at most")) == 2


def test_the_file_is_for_its_owner_and_names_no_person(harness: Harness):
    probed(harness, to=NUMBER)
    file = harness.folder / "probe.json"
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text("utf-8")
    ids = (ONE, QUEUE.rpartition("/")[2], NUMBER.removeprefix("tel:"), "31205550123")
    assert not [secret for secret in ids if secret in text]
    assert not list(harness.folder.glob(".probe*")), "nothing is left beside it"


def test_an_address_is_answered_about_its_prefix(harness: Harness):
    ended, result = probed(harness, to=NUMBER)
    asked = result["answers"]["is a prefix of an address accepted"]
    assert asked.startswith(("tel:+11 digits: ", "not asked"))
    assert result["not_sent_because"] is not None or result["there"]["operation"] == "transfer"
    assert ended.code == 1, "it does not come back from there"


def test_a_user_is_rung_and_it_comes_back_from_there(harness: Harness):
    ended, result = probed(harness, to=USER)
    assert ended.code == 0, ended.err
    assert result["there"]["operation"] == "replace/agent"
    assert result["back"]["leg"] == "agent"


def test_a_refusal_is_reported_and_nothing_is_moved_back(harness: Harness):
    ended, result = probed(harness, faults={"rejected": "100%"})
    assert ended.code == 1, ended.out
    assert (result["there"]["end"], result["back"]) == ("refused", None)
    assert result["there"]["answer"]["code"]
    assert "not moved  back" in ended.out


@pytest.mark.parametrize("fault", ["cut", "server_error_after"])
def test_a_lost_answer_is_looked_for_and_never_put_again(harness: Harness, fault: str):
    ended, result = probed(harness, faults={fault: "100%"})
    assert ended.code == 0, ended.out + ended.err
    for way in ("there", "back"):
        assert result[way]["end"] == "arrived"
        answer = result[way]["answer"]
        assert answer is None or answer["status"] >= 500
    for way, commands in (("there", 1), ("back", 2)):
        assert len(result[way]["seen"][-1]["recent_transfers"]) == commands, "each was given once"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_a_signal_after_the_command_left_ends_with_what_is_known(
    harness: Harness, number: int, code: int
):
    ended, result = interrupted(harness, number, "asking the platform", faults={"muted": "100%"})
    assert ended.code == code, ended.out + ended.err
    assert "in doubt  there: replace/queue of acd: interrupted" in ended.out
    assert "look at it in the platform" in ended.out
    assert "nothing is under way" not in ended.err
    assert result["there"]["end"] == "about to leave, or on its way"
    assert result["not_moved_back_because"] == "interrupted"


def test_a_signal_before_the_command_left_ends_with_nothing_under_way(harness: Harness):
    ended, result = interrupted(harness, signal.SIGTERM, "looking it up", latency="60s")
    assert ended.code == 143, ended.out + ended.err
    assert "nothing is under way" in ended.err
    assert (ended.out, result["there"]) == ("", None)


def interrupted(
    harness: Harness, number: int, said: str, **simulator: Any
) -> tuple[Ended, dict[str, Any]]:
    """Send a signal to a probe once it has said something."""
    path = harness.write(document({"interaction_id": conversation(2)}, **simulator))
    given = ("--probe", ONE, "--probe-to", QUEUE, "--probe-out", "probe.json", "--yes")
    with started("doctor", path, *given, cwd=harness.folder) as process:
        assert process.stderr is not None
        while said not in (line := process.stderr.readline()):
            assert line, "it ended without a word"
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
        ended = Ended(process.wait(), out, err)
    return ended, json.loads((harness.folder / "probe.json").read_text("utf-8"))


def test_what_has_ended_is_left_alone(harness: Harness):
    ended, result = probed(harness, ended="100%")
    assert ended.code == 1
    assert result["there"] is None
    assert result["not_sent_because"] == "interaction is completed"


def test_an_existing_file_is_kept_and_nothing_is_moved(harness: Harness):
    (harness.folder / "probe.json").write_text('{"kept": true}')
    ended, result = probed(harness)
    assert ended.code == 2
    assert result == {"kept": True}
    assert "--probe-out" in ended.err


def test_without_a_terminal_it_wants_yes(harness: Harness):
    path = harness.write(document({"interaction_id": ONE}))
    ended = harness.run("doctor", path, "--probe", ONE, "--probe-to", QUEUE)
    assert ended.code == 2
    assert "--yes" in ended.err
    assert not list(harness.folder.glob("probe-*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--probe", ONE), "go together"),
        (("--probe-to", QUEUE), "go together"),
        (("--probe", "c-1", "--probe-to", QUEUE), "the id of a conversation"),
        (("--probe", ONE, "--probe-to", "genesys://queue/Billing EU"), "genesys://queue/ID"),
        (("--probe", ONE, "--probe-to", "mailto:x"), "genesys://queue/ID"),
    ],
)
def test_what_cannot_be_probed_is_a_usage_error(
    harness: Harness, options: tuple[str, ...], said: str
):
    path = harness.write(document({"interaction_id": ONE}))
    ended = harness.run("doctor", path, *options, "--yes")
    assert ended.code == 2
    assert said in " ".join(ended.err.split())


def test_what_the_journal_holds_in_doubt_is_not_probed(harness: Harness):
    simulator = {"faults": {"muted": "100%", "event_lost": "100%", "transfer_failed": "100%"}}
    content = document({"interaction_id": ONE}, **simulator)
    content["policy"] = {"negotiation_timeout": "1s", "outcome_timeout": "1s"}
    path = harness.write(content)
    assert harness.run("apply", path).code == 6
    assert _states(harness.folder) == {"unknown"}
    ended = harness.run("doctor", path, "--probe", ONE, "--probe-to", USER, "--yes")
    assert ended.code == 1
    assert "settle that first" in ended.err
    assert not list(harness.folder.glob("probe-*"))


def _states(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / ".runner" / "demo.db")) as connection:
        return {state for (state,) in connection.execute("SELECT state FROM transfers")}


def refused(harness: Harness, content: dict[str, Any], *options: str) -> Ended:
    """Probe by a manifest that forbids it; nothing is sent, and no file is left."""
    path = harness.write(content)
    ended = harness.run("doctor", path, "--probe", ONE, "--probe-to", QUEUE, "--yes", *options)
    assert not list(harness.folder.glob("probe-*"))
    assert "asking the platform" not in ended.err
    return ended


def test_outside_the_windows_nobody_is_probed(harness: Harness):
    content = document({"interaction_id": conversation(2)})
    content["policy"] = {"window": {"not_before": "2999-01-01T00:00:00Z"}}
    ended = refused(harness, content)
    assert ended.code == 5, ended.out + ended.err
    assert "2999-01-01" in ended.err


def test_who_is_protected_is_not_probed(harness: Harness):
    (harness.folder / "protected.csv").write_text(f"interaction_id\n{ONE.upper()}\n")
    content = {**document({"interaction_id": conversation(2)}), "exclude_from": "protected.csv"}
    ended = refused(harness, content)
    assert ended.code == 1, ended.out + ended.err
    assert "protected by protected.csv:2" in ended.err


def test_what_exclude_leaves_out_is_not_probed(harness: Harness):
    rows = ({"interaction_id": ONE, "key": "vip-1"}, {"interaction_id": conversation(2)})
    ended = refused(harness, document(*rows), "--exclude", "vip-*")
    assert ended.code == 1, ended.out + ended.err
    assert "--exclude leaves `vip-1` out" in ended.err


def test_a_full_destination_takes_no_probe(harness: Harness):
    content = document({"interaction_id": conversation(2)}, agents={}, waiting={"Full": 5})
    content["destinations"] = {QUEUE: {"while": {"on_queue": ">= 5"}}}
    ended = refused(harness, content)
    assert ended.code == 5, ended.out + ended.err
    assert "on_queue is 0, not >= 5" in ended.err


def test_a_probe_waits_for_the_lock_of_a_journal_that_is_not_there_yet(harness: Harness):
    """The lock is taken for a journal that does not exist as for any other."""
    journal = harness.folder / "nowhere.db"
    path = harness.write(document({"interaction_id": ONE}, latency="60s"))
    given = ("--probe", ONE, "--probe-to", QUEUE, "--yes", "--journal", str(journal))
    with started("doctor", path, *given, cwd=harness.folder) as process:
        assert process.stderr is not None
        while "looking it up" not in process.stderr.readline():
            pass
        ended = harness.run("doctor", path, *given)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert ended.code == 75, ended.out + ended.err


def test_a_journal_that_lacks_what_runs_saw_is_refused(harness: Harness):
    content = document({"interaction_id": conversation(2)})
    assert harness.run("apply", harness.write(content)).code == 0
    ended = refused(harness, content, "--journal", "nowhere.db")
    assert ended.code == 74, ended.out + ended.err
    assert "was journalled in" in ended.err


@needs_openssh
class TestApproval:
    """Where approvals are required, a probe needs a plan of its own, signed."""

    def content(self, harness: Harness) -> dict[str, Any]:
        """Return a manifest that requires one approval, by alice."""
        key = make_key(harness.folder / "alice")
        (harness.folder / "signers").write_text(f"alice@example.net {public(key)}\n")
        content = document({"interaction_id": conversation(2)})
        content["policy"] = {"approvals": {"required": 1, "signers": "signers"}}
        return content

    def sign(self, harness: Harness, plan: str = "probe-plan.json") -> None:
        """Sign a plan."""
        signature = sign((harness.folder / plan).read_bytes(), harness.folder / "alice")
        (harness.folder / f"{plan}.alice.sig").write_bytes(signature)

    def test_it_is_refused_without_and_done_by_the_commands_that_are_printed(
        self, harness: Harness
    ):
        ended = refused(harness, self.content(harness))
        assert ended.code == 3, ended.out + ended.err
        assert "P003" in ended.err
        commands = [
            line.strip()
            for line in ended.err.splitlines()
            if line.strip().startswith(("runner ", "help: runner"))
        ]
        make, see, do = (shlex.split(each)[1:] for each in commands if "ssh-keygen" not in each)
        assert make[:1] == ["doctor"]
        made = harness.run(*make)
        assert made.code == 0, made.out + made.err
        unsigned = harness.run(*do, "--yes")
        assert unsigned.code == 3, unsigned.out + unsigned.err
        assert "0 of 1 approval" in unsigned.err
        self.sign(harness)
        assert harness.run(*see).code == 0
        ended = harness.run(*do, "--yes")
        assert ended.code == 0, ended.out + ended.err
        [findings] = (harness.folder / ".runner").glob("probe-*.json")
        assert json.loads(findings.read_text("utf-8"))["back"]["end"] == "arrived"
        for name in ("probe-plan.json", "copy.json"):
            for suffix in ("", ".alice.sig"):
                found = (harness.folder / f"probe-plan.json{suffix}").read_bytes()
                (harness.folder / f"{name}{suffix}").write_bytes(found)
            again = harness.run("doctor", name, *do[2:], "--yes")
            assert again.code == 3, again.out + again.err
            assert "was carried out" in again.err

    def test_a_signed_plan_of_another_conversation_is_refused(self, harness: Harness):
        path = harness.write(self.content(harness))
        plan = ("--out", "probe-plan.json")
        assert harness.run("doctor", path, "--probe", ONE, "--probe-to", QUEUE, *plan).code == 0
        self.sign(harness)
        other = ("--probe", conversation(2), "--probe-to", QUEUE, "--yes")
        ended = harness.run("doctor", "probe-plan.json", *other)
        assert ended.code == 3, ended.out + ended.err
        assert "the plan is of another probe" in ended.err

    def test_the_plan_of_a_probe_is_none_of_a_batch_nor_the_other_way(self, harness: Harness):
        path = harness.write(self.content(harness))
        given = ("--probe", ONE, "--probe-to", QUEUE)
        assert harness.run("doctor", path, *given, "--out", "probe-plan.json").code == 0
        self.sign(harness)
        ended = harness.run("apply", "probe-plan.json", "--yes")
        assert ended.code == 3, ended.out + ended.err
        assert f"runner doctor probe-plan.json --probe {ONE} --probe-to {QUEUE}" in ended.err
        assert harness.run("plan", path, "--out", "plan.json").code == 0
        self.sign(harness, "plan.json")
        ended = harness.run("doctor", "plan.json", *given, "--yes")
        assert ended.code == 3, ended.out + ended.err
        assert "it is not the plan of a probe" in ended.err

    def test_a_limit_of_a_queue_by_its_name_holds_for_a_plan_too(self, harness: Harness):
        content = self.content(harness)
        content["environments"]["demo"]["simulator"]["queues"] = ["Full"]
        content["destinations"] = {"genesys://queue/Full": {"while": {"on_queue": ">= 5"}}}
        path = harness.write(content)
        full = f"genesys://queue/{make_id('queue', 'Full')}"
        given = ("--probe", ONE, "--probe-to", full)
        assert harness.run("doctor", path, *given, "--out", "probe-plan.json").code == 0
        self.sign(harness)
        ended = harness.run("doctor", "probe-plan.json", *given, "--yes")
        assert ended.code == 5, ended.out + ended.err
        assert "genesys://queue/Full is full: on_queue is 0, not >= 5" in ended.err
