"""Answers that no decent server gives, in every place where one may stand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.callbacks import SECRET, with_callback
from tests.e2e.harness import Harness, manifest, transfer
from tests.fakes.wire_server import Peer, Request, answer
from tests.foreign.gateway import Gateway
from tests.foreign.receiver import Receiver
from tests.foreign.wire import WebResponse
from tests.hazards.harmless import assert_harmless
from tests.hazards.raw import RawGateway

ODD_HEADERS = (
    b"Via: 1.1 Z\xfcrich\r\n"  # Latin-1
    b"X-Utf8: Z\xc3\xbcrich \xe2\x98\x8e\r\n"
    b"X-Bytes: " + bytes(range(0x80, 0x100)) + b"\r\n"
    b"X-Controls: \x01\x02\x1b[31m\x7f\r\n"
)
HALF = '"\\udfff\\ud800"'


@pytest.fixture
def raw() -> Iterator[RawGateway]:
    with RawGateway() as serving:
        yield serving


def with_headers(told: bytes, headers: bytes = ODD_HEADERS) -> bytes:
    """Return an answer's bytes with more headers behind its status line."""
    first, _, rest = told.partition(b"\r\n")
    return first + b"\r\n" + headers + rest


async def accept(peer: Peer, message_id: str) -> None:
    await peer.send_text({"id": message_id, "status": "codec_negotiated"})


def test_any_byte_in_any_header_is_taken(raw: RawGateway, harness: Harness):
    """In the look-ups' answers, the token's, and in those that refuse a handshake."""
    raw.answering(accept)
    raw.looked_up(
        lambda r: with_headers(answer(200, {"id": r.path.rsplit("/", 1)[1], "state": "active"}))
    )
    token = {"access_token": "abc", "token_type": "bearer", "expires_in": 3600}
    raw.server.token_answers.append(with_headers(answer(200, token)))
    # Header lines of an HTTP/1.1 handshake hold no control characters (websockets refuses them).
    headers = ODD_HEADERS.replace(b"\x01\x02\x1b[31m\x7f", b"")
    raw.server.handshake_answers.append(with_headers(answer(503), headers))
    applied = harness.apply(raw.manifest(3))
    assert applied.code == 0, applied.ended
    assert set(raw.deliveries.values()) == {1}


def test_any_byte_in_a_refusals_headers_is_taken(raw: RawGateway, harness: Harness):
    raw.answering(accept)
    refusal = answer(403, b"no", WWW_Authenticate='Bearer scope="x"', Location="z")
    raw.looked_up(lambda _: with_headers(refusal))
    applied = harness.apply(raw.manifest(1))
    assert applied.code == 4, applied.ended
    assert "the token lacks the scope x" in applied.ended.out


@pytest.mark.parametrize("status", [302, 401, 403, 500])
def test_a_handshake_refused_in_odd_bytes_is_unreachable(
    raw: RawGateway, harness: Harness, status: int
):
    value = bytes(range(0x80, 0x100))
    named = b"Location: https://\xff.example/\xfc\r\nWWW-Authenticate: Bearer scope=" + value
    refusal = with_headers(answer(status), named + b"\r\nRetry-After: " + value + b"\r\n")
    raw.server.handshake_answers.extend([refusal] * 9)
    applied = harness.apply(raw.manifest(1))
    assert applied.code == 4, applied.ended
    assert_harmless(applied.ended.out + applied.ended.err)


def test_any_byte_in_a_callbacks_answer_is_taken(gateway: Gateway, harness: Harness):
    harness.env["HOOK_SECRET"] = SECRET
    odd = {"Via": "1.1 Z\xfcrich", "Retry-After": "\xff\xfe", "Location": "\x80"}
    with Receiver() as receiver:
        receiver.answer = WebResponse(200, headers=odd)
        applied = harness.apply(with_callback(manifest(gateway, [transfer()]), receiver))
    assert applied.code == 0, applied.ended
    assert applied.report.summary["callbacks"]["delivered"] == 1


def test_half_a_character_in_a_reply_is_kept_as_a_replacement(raw: RawGateway, harness: Harness):
    """It settles what it says, and everything that is kept of it can be written."""

    async def reply(peer: Peer, message_id: str) -> None:
        media = f'{{"audio":{{"codec":{HALF}}},{HALF}:{HALF}}}'
        await peer.send_text(
            f'{{"id":"{message_id}","status":"transfer_rejected","reason":{HALF},'
            f'"media_matrix":{media},{HALF}:{HALF}}}'
        )

    raw.answering(reply)
    applied = harness.apply(raw.manifest(2), "--log-file", "run.log", "-vv")
    assert applied.code == 1, applied.ended
    [first, _] = applied.report.json["transfers"]
    assert (first["outcome"], first["reason"]) == ("rejected", "\ufffd\ufffd")
    for form in ("html", "json", "junit", "csv", "md"):
        run = applied.report.run["id"]
        journal = str(harness.folder / ".runner" / "raw.db")
        shown = harness.run("report", run, "--journal", journal, "--format", form, "--out", "-")
        assert shown.code == 0, shown


def test_half_a_character_as_a_status_is_a_doubt(raw: RawGateway, harness: Harness):
    async def reply(peer: Peer, message_id: str) -> None:
        await peer.send_text(f'{{"id":"{message_id}","status":{HALF}}}')

    raw.answering(reply)
    applied = harness.apply(raw.manifest(2))
    assert applied.code == 6, applied.ended
    assert set(raw.deliveries.values()) == {1}


@pytest.mark.parametrize("field", ["state", "destination_uri", "last_transfer_id", "more"])
def test_half_a_character_in_a_look_up_ends_no_run(raw: RawGateway, harness: Harness, field: str):
    raw.answering(accept)
    first: list[str] = []

    def look_up(request: Request) -> bytes:
        name = request.path.rsplit("/", 1)[1]
        first.append(name)
        odd = f',"{field}":{HALF}' if name == first[0] else ""
        state = "" if odd and field == "state" else ',"state":"active"'
        return answer(200, f'{{"id":"{name}"{state}{odd}}}'.encode(), "application/json")

    raw.looked_up(look_up)
    applied = harness.apply(raw.manifest(3))
    assert applied.code == (1 if field == "state" else 0), applied.ended
    assert applied.report.summary["transferred"] == (2 if field == "state" else 3)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"access_token":{HALF},"token_type":"bearer","expires_in":60}}',
        f'{{"access_token":"a","token_type":{HALF},"expires_in":60}}',
        f'{{"error":{HALF},"error_description":{HALF}}}',
        '{"access_token":"a","access_token":"b","token_type":"bearer","expires_in":60}',
        '{"access_token":"a","token_type":"bearer","expires_in":NaN}',
        '{"access_token":"a","token_type":"bearer","expires_in":1' + "0" * 5000 + "}",
        '{"access_token":' + "[" * 100_000,
        "\ufeff{}",
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_odd_token_answer_is_unreachable(
    raw: RawGateway, harness: Harness, body: str, status: int
):
    raw.server.token_answers.extend([answer(status, body.encode(), "application/json")] * 9)
    applied = harness.apply(raw.manifest(1))
    assert applied.code == 4, applied.ended
    assert_harmless(applied.ended.out + applied.ended.err)
    assert not raw.deliveries


def test_a_reply_that_contradicts_itself_is_a_doubt_at_once(raw: RawGateway, harness: Harness):
    async def reply(peer: Peer, message_id: str) -> None:
        statuses = '"status":"transfer_rejected","status":"codec_negotiated"'
        await peer.send_text(f'{{"id":"{message_id}",{statuses}}}')

    raw.answering(reply)
    applied = harness.apply(raw.manifest(2))
    assert applied.code == 6, applied.ended
    assert set(raw.deliveries.values()) == {1}
    for told in applied.report.json["transfers"]:
        assert told["outcome"] == "in_doubt"
        assert "contradicts itself" in told["reason"]


def test_a_look_up_that_contradicts_itself_moves_nobody(raw: RawGateway, harness: Harness):
    raw.answering(accept)

    def look_up(request: Request) -> bytes:
        name = request.path.rsplit("/", 1)[1]
        body = f'{{"id":"{name}","state":"completed","state":"active"}}'
        return answer(200, body.encode(), "application/json")

    raw.looked_up(look_up)
    applied = harness.apply(raw.manifest(2))
    assert applied.code == 4, applied.ended  # the look-ups' outage; nothing was sent
    assert not raw.deliveries
