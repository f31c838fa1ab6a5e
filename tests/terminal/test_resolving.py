"""`resolve RUN` alone, at a terminal, lists doubts and asks for each."""

from __future__ import annotations

from tests.e2e.harness import Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE
from tests.terminal.window import Window


def test_each_doubt_is_shown_with_what_is_known_and_asked_for(gateway: Gateway, harness: Harness):
    transfers = [transfer(key=key) for key in ("one", "two", "three")]
    for each in transfers:
        gateway.scripts[each["interaction_id"]] = [MUTE]
    assert harness.apply(manifest(gateway, transfers)).code == 6
    arguments = command("resolve", "latest", "--manifest", "batch.yaml")
    with Window(arguments, cwd=harness.folder, env=environment()) as shown:
        shown.wait_for("1 of 3: one")
        shown.wait_for("[q]uit:")
        for part in (transfers[0]["interaction_id"], "message id", "no reply within"):
            assert part in shown.screen.text
        shown.type(b"t\n")
        shown.wait_for("how do you know?")
        shown.type(b"seen in the console\nf\n")  # the second was not shown: it is not answered
        shown.wait_for("2 of 3: two")
        shown.type(b"yes\n")
        shown.wait_for("[q]uit: yes")
        assert "3 of 3" not in shown.screen.text  # a slip is asked for again, and skips no doubt
        shown.type(b"s\n")
        shown.wait_for("3 of 3: three")
        shown.type(b"f\n")
        shown.wait_for("how do you know?")
        shown.type(b"\n")
        shown.wait_for("three stays in doubt: a reason is needed")
        assert shown.ended() == 0
    status = harness.run("status", "latest", "--manifest", "batch.yaml")
    assert "2" in status.out
    again = ("--all", "--as", "failed", "--reason", "seen", "--manifest", "batch.yaml")
    assert "resolved: 2 transfers" in harness.run("resolve", "latest", *again).out
