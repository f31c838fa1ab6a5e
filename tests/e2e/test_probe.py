"""`doctor --probe` moves one conversation there and back, once each, and keeps no customer's data."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PATIENCE_S, Ended, Harness, started
from tests.e2e.platform_builders import NUMBER, QUEUE, USER, conversation, document

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
