"""The platform's faults, each alone: what happens, and what is in the ledger."""

from typing import Any

import pytest

from runner.core.errors import UsageError
from runner.drivers import platforms
from runner.simulator.faults import FAULTS as OTHER_FAULTS
from runner.simulator.genesys_cloud.faults import FAULTS
from tests.simulator.genesys_shell import (
    CONVERSATION,
    NOW,
    QUEUE,
    Answered,
    GenesysShell,
    genesys_shell,
    queue_topic,
)

IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(60)]


def struck(fault: str, **options: Any) -> tuple[GenesysShell, Answered]:
    """Send one command to a platform with this fault alone, always; look-ups are spared."""
    shell = genesys_shell(**options)
    held = shell.holder()["id"]
    struck = genesys_shell(faults={fault: 1.0}, **options)
    return struck, struck.replace(queueId=QUEUE, participant_id=held)


def state(shell: GenesysShell) -> str | None:
    """Return the state of the last command, None without one."""
    commands = shell.model.organisation.conversations.get(CONVERSATION).commands
    return commands[-1].state if commands else None


def test_each_driver_names_the_faults_of_its_platform():
    assert set(FAULTS) == platforms()["genesys-cloud"].faults
    assert set(OTHER_FAULTS) == platforms()["interaction-transfer"].faults


def test_a_fault_of_the_other_face_is_an_error_with_the_names_that_exist():
    with pytest.raises(UsageError, match=r"^unlisted is not a fault of the simulator; it has rate"):
        genesys_shell(faults={"unlisted": 0.1})


def test_too_many_requests_and_failures_of_the_platform_leave_all_as_it_was():
    for fault, statuses in (("rate_limited", {429}), ("server_error", {500, 503, 504})):
        shell, answered = struck(fault)
        assert answered.status in statuses
        assert (shell.moves, state(shell)) == ({}, None)
    shell, answered = struck("rate_limited")
    assert answered.headers["Retry-After"] == "1"
    assert answered.code in {"too.many.requests", "rate.limited"}


def test_each_kind_of_failure_and_of_limit_is_drawn():
    shells = {
        fault: genesys_shell(faults={fault: 1.0}) for fault in ("rate_limited", "server_error")
    }
    codes = {
        fault: {shell.get(f"/api/v2/conversations/{one}").code for one in IDS}
        for fault, shell in shells.items()
    }
    assert codes == {
        "rate_limited": {"too.many.requests", "rate.limited"},
        "server_error": {"internal.server.error", "service.unavailable", "request.timeout"},
    }


def test_a_rejected_command_is_refused_with_a_vendor_s_code():
    shell, answered = struck("rejected")
    assert answered.code in {
        "conversations.error.transfer.acd.call.unattended",
        "bad.request",
        "not.authorized",
    }
    assert (shell.moves, state(shell)) == ({}, None)


def test_a_cut_before_leaves_all_as_it_was_and_a_cut_does_not():
    for fault, moves in (("cut_before", {}), ("cut", {CONVERSATION: 1})):
        shell, answered = struck(fault)
        assert (answered.cut, answered.status) == (True, None)
        assert shell.moves == moves


def test_a_muted_command_is_carried_out_and_never_answered():
    shell, answered = struck("muted")
    assert (answered.cut, answered.status) == (False, None)
    assert (shell.moves, state(shell)) == ({CONVERSATION: 1}, "Complete")


def test_a_failure_after_the_effect_lies():
    shell, answered = struck("server_error_after")
    assert answered.status in {500, 503, 504}
    assert (shell.moves, state(shell)) == ({CONVERSATION: 1}, "Complete")


def test_a_slow_answer_comes_late_but_its_effect_does_not():
    shell, answered = struck("slow", latency_s=0.1)
    assert answered.status == 202
    assert 1.99 < answered.at - NOW < 2.05
    assert (
        shell.model.organisation.conversations.get(CONVERSATION).commands[0].issued_at < NOW + 0.2
    )


def test_an_accepted_command_may_fail_and_then_nobody_is_moved():
    shell = genesys_shell(faults={"transfer_failed": 1.0})
    states = set()
    for conversation_id in IDS:
        held = shell.holder(conversation_id)
        assert shell.replace(conversation_id=conversation_id, queueId=QUEUE).status == 202
        (entry,) = shell.look(conversation_id)["recentTransfers"]
        states.add(entry["state"])
        assert shell.holder(conversation_id) == held
    assert states == {"Failed", "Timeout", "Canceled"}
    assert not shell.moves


def test_an_expired_token_is_told_on_rest_and_on_the_socket():
    shell = genesys_shell()
    held = shell.holder()["id"]
    shares = shell.model.organisation.chance.shares
    assert isinstance(shares, dict)
    shares["token_expiry"] = 1.0
    channel = shell.follow(queue_topic(QUEUE))

    answered = shell.replace(queueId=QUEUE, participant_id=held)

    assert (answered.status, answered.code) == (401, "bad.credentials")
    assert not shell.moves
    ((told_to, frame),) = shell.frames
    assert told_to == channel
    assert frame["topicName"] == f"v2.system.token_revoked.{channel}"
    assert frame["eventBody"]["reason"] == "user_tokens_revoked"
    assert [one.channel_id for one in shell.hangups] == [channel]
    shell.renew()
    assert shell.ask("GET", f"/api/v2/notifications/channels/{channel}/subscriptions").status == 404


def test_a_fault_strikes_the_same_requests_with_the_same_seed():
    def fates(seed: int) -> list[int | None]:
        shell = genesys_shell(seed=seed, faults={"server_error": 0.3})
        return [shell.get(f"/api/v2/conversations/{one}").status for one in IDS]

    assert fates(7) == fates(7)
    assert fates(7) != fates(8)
    assert 200 in fates(7)


def test_what_is_asked_again_is_not_doomed_for_ever():
    shell = genesys_shell(faults={"server_error": 0.5})
    path = f"/api/v2/conversations/{CONVERSATION}"
    assert {(shell.get(path).status or 0) // 100 for _ in range(20)} == {2, 5}
