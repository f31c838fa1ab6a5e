"""Callbacks as a receiver sees them."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from runner.core.errors import StorageError
from runner.core.manifest.model import Callback, RetryPolicy, Secret
from runner.webhooks import OutboxRow, WebhookDispatcher
from tests.webhooks.fakes import (
    OK,
    LeapingClock,
    MemoryOutbox,
    Receiver,
    StandingClock,
    Watch,
    status,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RETRY = RetryPolicy(attempts=3, base_s=1.0, cap_s=30.0)
ONCE = RetryPolicy(attempts=1)


def row(webhook_id: str = "msg_1", callback: str = "crm", attempts: int = 0) -> OutboxRow:
    body = json.dumps({"key": webhook_id, "outcome": "transferred"})
    return OutboxRow(webhook_id, callback, body, attempts)


def crm(receiver: Receiver, **but: Any) -> Callback:
    options: dict[str, Any] = {
        "name": "crm",
        "url": f"http://127.0.0.1:{receiver.port}/hooks/transfer?token=canary",
        "allow_private": True,
    }
    return Callback(**(options | but))


def courier(*callbacks: Callback, outbox: MemoryOutbox, **but: Any) -> WebhookDispatcher:
    options: dict[str, Any] = {
        "clock": LeapingClock(),
        "jitter": lambda: 0.0,
        "policy": RETRY,
        "simulated": False,
        "observer": Watch(),
    }
    named = {callback.name: callback for callback in callbacks}
    return WebhookDispatcher(named, outbox, **(options | but))


@asynccontextmanager
async def running(courier: WebhookDispatcher) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(courier.run())
    await asyncio.sleep(0)
    yield task
    await courier.finish(5.0)
    await task


async def settled(*rows: OutboxRow, callbacks: Sequence[Callback], **but: Any) -> dict[str, Any]:
    outbox = MemoryOutbox(*rows)
    async with asyncio.timeout(60), running(courier(*callbacks, outbox=outbox, **but)):
        await outbox.until(*(each.webhook_id for each in rows))
    return outbox.settled


def resolving(*addresses: str) -> Callable[[str, int], Any]:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


async def test_a_signed_callback_verifies_with_the_standard_library() -> None:
    async with Receiver().serve() as receiver:
        callback = crm(receiver, secret=Secret(SECRET), headers={"X-Site": "ams"})
        outcome = await settled(row(), callbacks=[callback], clock=NowClock())

    (request,) = receiver.received
    assert outcome == {"msg_1": ("delivered", 1)}
    assert Webhook(SECRET).verify(request.body, request.headers) == json.loads(row().body)
    assert request.line == "POST /hooks/transfer?token=canary HTTP/1.1"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-site"] == "ams"


class NowClock(LeapingClock):
    """The library's verification wants a stamp of today."""

    def wall(self) -> float:
        return datetime.now(UTC).timestamp()


async def test_without_a_secret_nothing_is_signed() -> None:
    async with Receiver().serve() as receiver:
        await settled(row(), callbacks=[crm(receiver, method="PUT")])

    (request,) = receiver.received
    assert request.line.startswith("PUT ")
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["webhook-timestamp"] == "1796158800"
    assert "webhook-signature" not in request.headers


async def test_retries_keep_the_id_and_renew_the_stamp() -> None:
    clock = LeapingClock()
    answers = [status(503), status(429, "Retry-After: 90"), OK]
    async with Receiver(answers).serve() as receiver:
        outcome = await settled(row(), callbacks=[crm(receiver)], clock=clock)

    assert outcome == {"msg_1": ("delivered", 3)}
    assert clock.slept[:2] == [1.0, 90.0]
    assert [each.headers["webhook-id"] for each in receiver.received] == ["msg_1"] * 3
    stamps = [int(each.headers["webhook-timestamp"]) for each in receiver.received]
    assert [later - stamps[0] for later in stamps] == [0, 1, 91]


async def test_each_run_has_attempts_of_its_own_and_leaves_the_row_to_the_next() -> None:
    async with Receiver([status(500)] * 3).serve() as receiver:
        outcome = await settled(row(attempts=2), callbacks=[crm(receiver)])

    reason = "answered 500, 3 times; left for the next run"
    assert outcome == {"msg_1": ("pending", 5, reason)}
    assert len(receiver.received) == 3


@pytest.mark.parametrize("code", [302, 307, 400, 410])
async def test_final_answers_are_not_repeated_nor_redirects_followed(code: int) -> None:
    async with Receiver().serve() as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/"
        async with Receiver([status(code, location)]).serve() as receiver:
            outcome = await settled(row(), callbacks=[crm(receiver)])

    state, attempts, reason = outcome["msg_1"]
    assert (state, attempts) == ("failed", 1)
    assert str(code) in reason
    assert (len(receiver.received), len(elsewhere.received)) == (1, 0)


async def test_an_endless_answer_is_cut_and_counts() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000
    async with Receiver([endless]).serve() as receiver:
        assert await settled(row(), callbacks=[crm(receiver)]) == {"msg_1": ("delivered", 1)}


async def test_a_silent_address_is_unreachable_after_the_attempts_time() -> None:
    async with Receiver([None]).serve() as receiver:
        outcome = await settled(row(), callbacks=[crm(receiver)], attempt_s=0.05, policy=ONCE)

    state, _, reason = outcome["msg_1"]
    assert state == "pending"
    assert reason.startswith("no answer within 0.05 s")


async def test_a_closed_port_is_named_without_path_and_query() -> None:
    async with Receiver().serve() as receiver:
        pass
    outcome = await settled(row(), callbacks=[crm(receiver)], policy=ONCE)

    reason = outcome["msg_1"][2]
    assert reason.startswith(f"cannot connect to 127.0.0.1:{receiver.port}")
    assert "canary" not in reason


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "①②⑦.⓪.⓪.①",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
    ],
)
async def test_no_spelling_of_loopback_is_called_unless_allowed(host: str) -> None:
    async with Receiver().serve() as receiver:
        url = f"http://{host}:{receiver.port}/"
        outcome = await settled(row(), callbacks=[crm(receiver, url=url, allow_private=False)])

    assert outcome["msg_1"][:2] == ("failed", 1)
    assert receiver.received == []


async def test_a_host_is_resolved_once_and_only_what_was_checked_is_connected_to() -> None:
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["93.184.215.14"]

    async with Receiver().serve() as receiver:
        url = f"http://crm.example.net:{receiver.port}/"
        outcome = await settled(row(), callbacks=[crm(receiver, url=url)], resolve=rebinding)

    assert outcome == {"msg_1": ("delivered", 1)}
    assert asked == ["crm.example.net"]
    assert receiver.received[0].headers["host"] == f"crm.example.net:{receiver.port}"


async def test_the_next_address_is_tried_where_the_first_does_not_listen() -> None:
    async with Receiver().serve() as receiver:
        callback = crm(receiver, url=f"http://crm.example.net:{receiver.port}/")
        both = resolving("127.0.0.2", "127.0.0.1")
        assert await settled(row(), callbacks=[callback], resolve=both) == {
            "msg_1": ("delivered", 1)
        }


async def test_a_rehearsal_calls_loopback_and_suppresses_all_else() -> None:
    async with Receiver().serve() as receiver:
        home = crm(receiver, allow_private=False)
        away = crm(receiver, name="away", url="https://crm.example.net/", allow_private=True)
        near = crm(receiver, name="near", url="https://10.0.0.1/", allow_private=True)
        rows = [row("a"), row("b", "away"), row("c", "near")]
        outcome = await settled(*rows, callbacks=[home, away, near], simulated=True)

    assert [outcome[each][0] for each in "abc"] == ["delivered", "suppressed", "suppressed"]
    assert [each.headers["webhook-id"] for each in receiver.received] == ["a"]


async def test_a_callback_that_the_manifest_no_longer_has_is_left_pending() -> None:
    watch = Watch()
    outcome = await settled(row(), row("msg_2"), callbacks=[], observer=watch)

    state, attempts, reason = outcome["msg_1"]
    assert (state, attempts) == ("pending", 0)
    assert "no longer defines" in reason
    assert len(watch.told) == 1, "each reason is told once per callback"


@pytest.mark.parametrize(
    "but",
    [
        {"secret": Secret("not base64!")},
        {"headers": {"X-Site": "übel"}},
        {"headers": {"X-Site": "a\r\nX-Other: b"}},
        {"url": "http://[::1/"},
    ],
)
async def test_what_cannot_be_sent_fails_at_once_and_shows_nothing(but: dict[str, Any]) -> None:
    async with Receiver().serve() as receiver:
        outcome = await settled(row(), callbacks=[crm(receiver, **but)])

    assert outcome["msg_1"][:2] == ("failed", 1)
    assert "not base64!" not in outcome["msg_1"][2]
    assert receiver.received == []


async def test_a_dead_callback_starves_no_other() -> None:
    dead = [row(f"dead_{n}") for n in range(200)]
    alive = [row(f"alive_{n}", "billing") for n in range(20)]
    outbox = MemoryOutbox(*dead, *alive)
    async with Receiver([None]).serve() as silent, Receiver().serve() as receiver:
        callbacks = [crm(silent), crm(receiver, name="billing")]
        clock = StandingClock()
        carrier = courier(*callbacks, outbox=outbox, clock=clock)
        async with asyncio.timeout(60), running(carrier):
            await outbox.until(*(each.webhook_id for each in alive))
            clock.ring(5.0)

    assert len(receiver.received) == len(alive)
    assert {outbox.settled[key][0] for key in outbox.settled if "dead" in key} == {"pending"}


async def test_finish_does_not_wait_for_a_retry_that_comes_too_late() -> None:
    outbox = MemoryOutbox(row())
    async with Receiver([status(429, "Retry-After: 60")]).serve() as receiver:
        clock = StandingClock()
        carrier = courier(crm(receiver), outbox=outbox, clock=clock)
        task = asyncio.create_task(carrier.run())
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await carrier.finish(5.0)
        await task

    assert outbox.settled["msg_1"][0] == "pending"
    assert 60.0 not in clock.slept


async def test_rows_that_come_while_running_are_delivered_when_poked() -> None:
    outbox = MemoryOutbox()
    async with Receiver().serve() as receiver:
        carrier = courier(crm(receiver), outbox=outbox)
        async with asyncio.timeout(60), running(carrier):
            for each in ("first", "second"):
                outbox.rows.append(row(each))
                carrier.poke()
                await outbox.until(each)

    assert [each.headers["webhook-id"] for each in receiver.received] == ["first", "second"]


async def test_a_broken_outbox_ends_the_courier_with_its_own_error() -> None:
    class Broken(MemoryOutbox):
        async def delivered(self, row: OutboxRow, attempts: int) -> None:
            raise StorageError(f"cannot write {row.webhook_id} after {attempts}")

    async with Receiver().serve() as receiver:
        carrier = courier(crm(receiver), outbox=Broken(row()))
        with pytest.raises(StorageError, match="cannot write msg_1"):
            await carrier.run()
        await carrier.finish(5.0)


async def test_what_is_owed_is_delivered_also_when_run_begins_after_finish() -> None:
    outbox = MemoryOutbox(row())
    async with Receiver().serve() as receiver, asyncio.timeout(60):
        carrier = courier(crm(receiver), outbox=outbox, clock=StandingClock())
        task = asyncio.create_task(carrier.run())
        await carrier.finish(5.0)
        await task

    assert outbox.settled == {"msg_1": ("delivered", 1)}


async def test_finish_without_run_ends_with_its_time() -> None:
    clock = LeapingClock()
    async with asyncio.timeout(60):
        await courier(outbox=MemoryOutbox(row()), clock=clock).finish(7.0)

    assert clock.slept == [7.0]


async def test_without_callbacks_a_poke_asks_the_outbox_nothing() -> None:
    outbox = MemoryOutbox()
    carrier = courier(outbox=outbox)
    async with asyncio.timeout(60), running(carrier):
        outbox.rows.append(row())
        carrier.poke()

    assert len(outbox.rows) == 1


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for crm.example.net alone, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-noenc", "-days", "2", "-subj", "/CN=test", "-keyout", folder / "key.pem"),
            *("-addext", "subjectAltName=DNS:crm.example.net", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize(
    ("host", "expected"),
    [("crm.example.net", "delivered"), ("other.example.net", "pending"), ("127.0.0.1", "pending")],
)
async def test_the_certificate_is_checked_against_the_host_name(
    authority: Path, host: str, expected: str
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority / "certificate.pem", authority / "key.pem")
    hellos: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: hellos.append(name)
    client = ssl.create_default_context(cafile=str(authority / "certificate.pem"))
    async with Receiver().serve(server) as receiver:
        callback = crm(receiver, url=f"https://{host}:{receiver.port}/")
        outcome = await settled(
            row(), callbacks=[callback], resolve=resolving("127.0.0.1"), tls=client, policy=ONCE
        )

    assert outcome["msg_1"][0] == expected
    assert hellos == [None if host == "127.0.0.1" else host]
    if expected == "pending":
        assert "certificate is not valid for" in outcome["msg_1"][2]
        assert receiver.received == []
