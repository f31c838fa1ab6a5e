"""Receivers of callbacks that were told nothing: the run, `status` and the reports say so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.result_schema import checked
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.receiver import Receiver
from tests.foreign.wire import WebResponse


@pytest.fixture
def told(gateway: Gateway) -> dict[str, Any]:
    """Return a manifest whose callback `crm` nobody answers, of two transfers."""
    content = manifest(gateway, [transfer(), transfer()])
    content["callbacks"] = {"crm": {"url": "http://127.0.0.1:1/hook", "allow_private": True}}
    content["defaults"]["callbacks"] = ["crm"]
    content["policy"]["retry"] = {"attempts": 1}
    return content


def test_callbacks_that_are_owed_are_told_everywhere_until_they_are_delivered(
    harness: Harness, told: dict[str, Any]
):
    path = harness.write(told)
    ended = harness.run("apply", path)
    assert ended.code == 0, "every transfer is done"
    assert "ok: all 2 transfers done; 2 callbacks were not delivered\n" in ended.out
    assert "  crm: 2 owed (cannot connect to 127.0.0.1:1" in ended.out
    assert (
        "it delivers\n    those that are owed, and moves nobody twice.\n    runner apply"
        in ended.out
    )

    again = checked(harness.run("apply", path, "--output", "json").out, "apply")
    (undelivered,) = again["undelivered"]
    assert (undelivered["callback"], undelivered["owed"], undelivered["given_up"]) == ("crm", 2, 0)
    assert [step["argv"][1:2] for step in again["next_steps"]] == [["apply"]]
    reported = json.loads((harness.folder / again["report"] / "report.json").read_text("utf-8"))
    assert reported["undelivered"] == again["undelivered"]
    assert "Nothing is left to do" not in json.dumps(reported["next_steps"])
    page = (harness.folder / again["report"] / "report.html").read_text("utf-8")
    assert "2 callbacks were not delivered: crm: 2 owed" in page

    for words in ((), ("latest",)):
        shown = harness.run("status", *words)
        assert "  callback crm: 2 owed (cannot connect" in shown.out
        assert "it delivers the callbacks that are owed, and moves nobody twice:" in shown.out
        document = checked(harness.run("status", *words, "--output", "json").out, "status")
        newest = document["run"] if words else document["runs"][0]
        assert newest["undelivered"] == again["undelivered"]
        assert [step["argv"][1:2] for step in document["next_steps"]] == [["apply"]]

    with Receiver() as receiver:
        told["callbacks"]["crm"]["url"] = receiver.url
        told_now = harness.run("apply", harness.write(told))
        assert len(receiver.requests) == 2
    assert "not delivered" not in told_now.out
    assert "callback crm" not in harness.run("status").out


def test_what_was_given_up_is_told_by_the_run_that_gave_it_up(
    harness: Harness, told: dict[str, Any]
):
    with Receiver() as receiver:
        receiver.answer = WebResponse(404)
        told["callbacks"]["crm"]["url"] = receiver.url
        path = harness.write(told)
        ended = harness.run("apply", path)
    assert "  crm: 2 given up (answered 404)" in ended.out
    assert "Tell the receiver of crm what it was not told" in ended.out
    assert "runner apply" not in ended.out, "no run tries them again"
    assert "  callback crm: 2 given up (answered 404)" in harness.run("status", "latest").out
    assert "not delivered" not in harness.run("apply", path).out
