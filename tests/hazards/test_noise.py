"""Noise in the place of each answer: documented ends, nobody moved twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest

from tests.e2e.harness import Harness
from tests.fakes.wire_server import CLOSE, TEXT, Peer, Reaction, Request, answer, frame
from tests.hazards.harmless import assert_harmless
from tests.hazards.raw import RawGateway

ROWS = 6
DOCUMENTED = {0, 1, 4, 5, 6}


@pytest.fixture
def raw() -> Iterator[RawGateway]:
    with RawGateway() as serving:
        yield serving


def odd_json(message_id: str, chance: random.Random) -> str:
    """Return a reply that is odd in one way or another, perhaps a whole one."""
    odd = chance.choice([
        "1" + "0" * 400, "-1e999", "NaN", "Infinity", "9" * 5000, "[" * 60_000, "[" * 500 + "]" * 500,
        '{"a":' * 400 + "1" + "}" * 400, '"\\ud800"', '"\\u0000\\u001b"', "true", "null", "[]", "{}", '""',
    ])  # fmt: skip
    key = chance.choice(["status", "code", "reason", "retry_after", "media_matrix", "id", "more"])
    rest = chance.choice(['"status":"codec_negotiated",', '"status":"transfer_rejected",', ""])
    name = message_id if chance.random() < 0.8 else "\u2028" * 300
    return f'{{"id":"{name}",{rest}"{key}":{odd}}}'


async def meet(peer: Peer, message_id: str, chance: random.Random) -> None:
    """Answer a frame with noise of some kind, or as a good gateway does."""
    good = {"id": message_id, "status": "codec_negotiated"}
    match chance.randrange(10):
        case 0:
            await peer.send(chance.randbytes(chance.randrange(1, 400)))
        case 1:
            await peer.send(frame(TEXT, chance.randbytes(60)))
        case 2:
            reason = chance.randbytes(chance.randrange(0, 123))
            code = chance.choice(
                [0, 999, 1000, 1005, 1006, 1008, 1011, 1015, 3000, 4401, 4999, 65535]
            )
            await peer.send(frame(CLOSE, code.to_bytes(2, "big") + reason))
        case 3:
            peer.writer.write_eof()  # half-closed
        case 4:
            peer.cut()
        case 5:
            whole = frame(TEXT, json.dumps(good).encode())
            await peer.send(whole[: chance.randrange(1, len(whole))])
        case 6:
            for byte in frame(TEXT, json.dumps(good).encode()):  # in drips
                await peer.send(bytes([byte]))
                await asyncio.sleep(0)
        case 7:
            await peer.send_text(good)
        case _:
            await peer.send_text(odd_json(message_id, chance))


def odd_answer(request: Request, chance: random.Random) -> Reaction:
    """Return an answer to a look-up that is odd, perhaps a whole one."""
    name = request.path.rsplit("/", 1)[1]
    good = answer(200, {"id": name, "state": "active"})
    noise = chance.randbytes(200)
    answers: list[Reaction] = [
        good, good, good, noise,
        b"HTTP/1.1 " + noise[:20] + b"\r\n\r\n",
        b"HTTP/1.1 200 " + noise.translate(None, b"\r\n\0") + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 99999999999 x\r\n\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: 999999999999999999999\r\n\r\n{",
        b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"HTTP/1.1 200 x\r\nRetry-After: " + b"9" * 3000 + b"\r\nContent-Length: 0\r\n\r\n",
        answer(503, b"", Retry_After="Fri, 99 Foo 99999999 99:99:99 GMT"),
        answer(429, b"", Retry_After="0"),
        good[: chance.randrange(len(good))],
        answer(200, odd_json(name, chance).replace('"status"', '"state"').encode()),
        answer(200, noise), answer(chance.choice([204, 206, 301, 418, 451, 599]), noise),
        lambda writer: half_closed(writer, good),
    ]  # fmt: skip
    return chance.choice(answers)


async def half_closed(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content[: len(content) // 2])
    writer.write_eof()


def seeded(
    seed: int, react: Callable[..., Awaitable[None]]
) -> Callable[[Peer, str], Awaitable[None]]:
    chance = random.Random(seed)

    async def reacting(peer: Peer, message_id: str) -> None:
        with suppress(ConnectionError, RuntimeError):  # the client has hung up
            await react(peer, message_id, chance)

    return reacting


@pytest.mark.parametrize("seed", range(4))
def test_noise_on_the_session_moves_nobody_twice(raw: RawGateway, harness: Harness, seed: int):
    raw.answering(seeded(seed, meet))
    ended = harness.run("apply", harness.write(raw.manifest(ROWS)), "--log-file", "run.log")
    assert ended.code in DOCUMENTED, ended
    assert_harmless(ended.out + ended.err)
    assert max(raw.deliveries.values(), default=0) <= 1
    harness.newest_report().check(ended.code)


@pytest.mark.parametrize("seed", range(4))
def test_noise_in_look_ups_moves_nobody_twice(raw: RawGateway, harness: Harness, seed: int):
    chance = random.Random(seed)
    raw.answering(
        seeded(seed, lambda peer, i, _: peer.send_text({"id": i, "status": "codec_negotiated"}))
    )
    raw.looked_up(lambda request: odd_answer(request, chance))
    ended = harness.run("apply", harness.write(raw.manifest(ROWS)), "--log-file", "run.log")
    assert ended.code in DOCUMENTED, ended
    assert_harmless(ended.out + ended.err)
    assert max(raw.deliveries.values(), default=0) <= 1
    harness.newest_report().check(ended.code)


@pytest.mark.parametrize("seed", range(2))
def test_noise_in_handshakes_and_tokens_is_unreachable_or_passes(
    raw: RawGateway, harness: Harness, seed: int
):
    chance = random.Random(seed)
    raw.answering(
        seeded(seed, lambda peer, i, _: peer.send_text({"id": i, "status": "codec_negotiated"}))
    )
    for answers in (raw.server.token_answers, raw.server.handshake_answers):
        for _ in range(chance.randrange(3)):
            odd = odd_answer(Request("GET", "/x/y", {}, b""), chance)
            answers.append(odd)
    ended = harness.run("apply", harness.write(raw.manifest(2)), "--log-file", "run.log")
    assert ended.code in DOCUMENTED, ended
    assert_harmless(ended.out + ended.err)
    assert max(raw.deliveries.values(), default=0) <= 1
