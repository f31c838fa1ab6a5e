"""Every row of the protocol's reply table, as the gateway gives it and as the report tells it."""

from __future__ import annotations

from tests.e2e.harness import NARROW, VOICE, Harness, ids, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import CUT, CUT_BUT_MOVED, LIMITED, MUTE, MUTE_BUT_MOVED, Step

FAST = {"rate": "1000/s", "burst": 5}
REFUSALS = (
    "interaction_not_found",
    "interaction_terminated",
    "destination_unreachable",
    "destination_invalid",
    "format_invalid",
    "bandwidth_exceeded",
    "not_authorized",
    "transfer_rejected",
)
# name -> (what the gateway does, outcome, reason, deliveries)
DEFINITE = {
    "accepted": ([Step("codec_negotiated")], "transferred", "codec_negotiated", 1),
    "begun": ([Step("transfer_initiated")], "transferred", "transfer_initiated", 1),
    "with a reason": ([Step(reason="agent is free")], "transferred", "agent is free", 1),
    "unsuited": ([Step("codec_unsupported")], "rejected", "codec_unsupported", 1),
    "fell back": ([Step("codec_unsupported"), Step()], "transferred", "codec_negotiated", 2),
    "limited": ([LIMITED, Step()], "transferred", "codec_negotiated", 2),
    "limited, no wait": ([Step("rate_limited"), Step()], "transferred", "codec_negotiated", 2),
    "bare 429": ([Step(None, code=429), Step()], "transferred", "codec_negotiated", 2),
    "429 of a refusal": (
        [Step("transfer_rejected", code=429), Step()],
        "transferred",
        "codec_negotiated",
        2,
    ),
    "negative wait": (
        [Step("rate_limited", retry_after=-5), Step()],
        "transferred",
        "codec_negotiated",
        2,
    ),
    "malformed wait": (
        [Step("rate_limited", retry_after="soon"), Step()],
        "transferred",
        "codec_negotiated",
        2,
    ),
    "attempts used up": ([Step("rate_limited", reason="too many")], "failed", "too many", 3),
    "late": ([Step(delay_s=0.5)], "transferred", "codec_negotiated", 1),
    "doubled": ([Step(copies=3)], "transferred", "codec_negotiated", 1),
    "doubled no": (
        [Step("codec_unsupported", copies=2), Step(copies=2)],
        "transferred",
        "codec_negotiated",
        2,
    ),
} | {status: ([Step(status)], "rejected", status, 1) for status in REFUSALS}
UNKNOWN = {
    "mute": [MUTE],
    "mute but moved": [MUTE_BUT_MOVED],
    "pending": [Step("pending", effect=True)],
    "duplicate": [Step("duplicate")],
    "no status": [Step(None, code=200, effect=True)],
    "listed nowhere": [Step("accepted", effect=True)],
    "null status": [Step(raw=None, status="")],
    "status no text": [Step({"name": "transfer_initiated"}, code=429, effect=True), Step()],
    "code in quotes": [Step(code="429", effect=True)],
}


def test_every_definite_reply_has_its_outcome_and_reason(gateway: Gateway, harness: Harness):
    transfers = {name: transfer(key=name.replace(" ", "-").replace(",", "")) for name in DEFINITE}
    transfers["fell back"]["fallback"] = ["narrow"]
    transfers["doubled no"]["fallback"] = ["narrow"]
    for name, (steps, *_) in DEFINITE.items():
        gateway.scripts[transfers[name]["interaction_id"]] = steps
    applied = harness.apply(manifest(gateway, list(transfers.values()), limits=FAST))
    result = {
        name: (
            (each := applied.report.by_id[transfers[name]["interaction_id"]])["outcome"],
            each["reason"],
            len(each["attempts"]),
        )
        for name in DEFINITE
    }
    assert result == {name: tuple(expected) for name, (_, *expected) in DEFINITE.items()}
    assert applied.code == 1, applied.ended.err
    applied.report.agree_with(gateway)
    asked = gateway.deliveries(transfers["fell back"]["interaction_id"])
    assert [frame.message["media_matrix"] for frame in asked] == [VOICE, NARROW]
    assert applied.report.summary["rate"]["throttled"] >= 8


def test_what_is_not_known_is_in_doubt_and_never_sent_again(gateway: Gateway, harness: Harness):
    """Exit 6 as often as it is applied, and one delivery each, until evidence shows; then done."""
    gateway.shows_effects = False
    transfers = {name: transfer(key=name.replace(" ", "-")) for name in UNKNOWN}
    for name, steps in UNKNOWN.items():
        gateway.scripts[transfers[name]["interaction_id"]] = steps
    content = manifest(gateway, [*transfers.values(), fine := transfer()])
    first = harness.apply(content)
    outcomes = first.outcomes()
    assert outcomes.pop(fine["interaction_id"]) == "transferred"
    assert set(outcomes.values()) == {"in_doubt"}, first.report.json["transfers"]
    assert first.code == 6, first.ended.err
    reasons = {
        name: first.report.by_id[each["interaction_id"]]["reason"]
        for name, each in transfers.items()
    }
    assert reasons["pending"] == "pending"
    assert reasons["duplicate"] == "duplicate"
    assert "no reply within 3 s" in reasons["mute"]
    again = harness.apply(content)
    assert again.code == 6
    assert again.report.summary["in_doubt"] == len(transfers)
    gateway.show_effects()
    result = harness.apply(content)
    moved = {effect.interaction_id for effect in gateway.effects}
    assert len(moved) == 7
    settled = {name for name, outcome in result.outcomes().items() if outcome != "in_doubt"}
    assert settled == moved
    assert result.code == 6
    assert len(gateway.frames) == len(transfers) + 1


def test_a_delivery_without_a_reply_has_no_latency_of_an_earlier_one(
    gateway: Gateway, harness: Harness
):
    """The transfer is told with its last delivery's id and latency, seen to be moved or not."""
    muted, moved = transfer(), transfer()
    gateway.scripts[muted["interaction_id"]] = [LIMITED, MUTE]
    gateway.scripts[moved["interaction_id"]] = [LIMITED, MUTE_BUT_MOVED]
    applied = harness.apply(manifest(gateway, [muted, moved]))
    assert applied.code == 6
    for each in (muted, moved):
        result = applied.report.by_id[each["interaction_id"]]
        first, last = result["attempts"]
        assert first["latency_ms"] > 0
        assert last["latency_ms"] is None
        assert result["message_id"] == last["message_id"]
        assert result["latency_ms"] is None


def test_a_cut_session_leaves_doubt_and_the_rest_goes_on(gateway: Gateway, harness: Harness):
    """What was in flight is looked up and else in doubt; a new session carries the others."""
    transfers = [transfer() for _ in range(6)]
    for each, step in zip(transfers[::2], [CUT, CUT_BUT_MOVED, Step(mute=True)], strict=True):
        gateway.scripts[each["interaction_id"]] = [step]
    content = manifest(gateway, transfers, limits={"in_flight": 1})
    applied = harness.apply(content)
    assert applied.code == 6, applied.ended.err
    assert [applied.outcomes()[name] for name in ids(transfers)] == [
        "in_doubt",
        *["transferred"] * 5,
    ]
    assert len(gateway.handshakes) == applied.report.json["session"]["opened"] == 3
    applied.report.agree_with(gateway)
    harness.apply(content)
    assert len(gateway.frames) == 6


def test_closed_sessions_are_dialled_again(gateway: Gateway, harness: Harness):
    """Every close ends with a new session; in flight is in doubt; a token close renews it."""
    closes = [
        (1000, ""),
        (1001, "bye"),
        (1008, "token expired"),
        (4401, ""),
        (1012, ""),
        (1013, ""),
    ]
    transfers = [transfer() for _ in range(2 * len(closes))]
    for each, (code, reason) in zip(transfers[::2], closes, strict=True):
        step = Step(close_code=code, close_reason=reason, effect=False)
        gateway.scripts[each["interaction_id"]] = [step]
    applied = harness.apply(manifest(gateway, transfers, limits={"in_flight": 1, "rate": "400/s"}))
    assert applied.code == 6, applied.ended.err
    outcomes = [applied.outcomes()[name] for name in ids(transfers)]
    assert outcomes == ["in_doubt", "transferred"] * len(closes)
    result = applied.report.json["session"]
    assert [(close["code"], close["reason"]) for close in result["closes"][:-1]] == closes
    assert result["closes"][-1]["code"] == 1000
    assert result["opened"] == len(gateway.handshakes) == len(closes) + 1
    assert result["token_renewals"] == len(gateway.token_requests) - 1 == 2
    applied.report.agree_with(gateway)


def test_a_forbidding_close_ends_the_run(gateway: Gateway, harness: Harness):
    """4403 mid-run: exit 6 over 5, because what was in flight is in doubt; nothing goes on."""
    transfers = [transfer() for _ in range(4)]
    gateway.scripts[transfers[1]["interaction_id"]] = [Step(close_code=4403, effect=False)]
    applied = harness.apply(manifest(gateway, transfers, limits={"in_flight": 1}))
    assert applied.code == 6, applied.ended.err
    assert [applied.outcomes()[name] for name in ids(transfers)] == [
        "transferred",
        "in_doubt",
        "unattempted",
        "unattempted",
    ]
    assert len(gateway.handshakes) == 1


def test_stray_frames_are_notes_and_settle_nothing(gateway: Gateway, harness: Harness):
    """No JSON, foreign ids, a positive reply for an unknown id: kept in the audit log, ignored."""
    transfers = [transfer() for _ in range(4)]
    strays = ["no json \x1b[31m", "[1]", '{"id": "x", "status": "codec_negotiated"}', '{"id": 7}']
    for each, raw in zip(transfers, strays, strict=True):
        gateway.scripts[each["interaction_id"]] = [Step(raw=raw, effect=False)]
    applied = harness.apply(manifest(gateway, transfers))
    assert applied.code == 6
    assert set(applied.outcomes().values()) == {"in_doubt"}
    audit = (applied.report.folder / "audit.jsonl").read_text("utf-8")
    assert "no json" in audit
    assert "\x1b" not in audit
    assert "\x1b" not in applied.ended.out + applied.ended.err


def test_a_late_positive_reply_settles_the_transfer(gateway: Gateway, harness: Harness):
    """A reply behind the time-out, while the run goes on, turns doubt into certainty."""
    gateway.shows_effects = False
    late, last = transfer(), transfer()
    gateway.scripts[late["interaction_id"]] = [Step(delay_s=1.3)]
    gateway.scripts[last["interaction_id"]] = [LIMITED, Step(delay_s=0.9)]
    content = manifest(gateway, [late, last], limits={"rate": "2/s"})
    content["policy"]["negotiation_timeout"] = "1s"
    applied = harness.apply(content)
    assert applied.code == 0, applied.ended.err
    assert applied.outcomes()[late["interaction_id"]] == "transferred"
    result = applied.report.by_id[late["interaction_id"]]
    assert result["reason"] == "codec_negotiated"  # the gateway's own words
    assert result["latency_ms"] >= 1300
    assert "a late reply settles a transfer" in applied.ended.err


def test_statuses_that_the_manifest_lists_are_definite(gateway: Gateway, harness: Harness):
    done, refused = transfer(), transfer()
    gateway.scripts[done["interaction_id"]] = [Step("accepted", effect=True)]
    gateway.scripts[refused["interaction_id"]] = [Step("busy")]
    content = manifest(gateway, [done, refused])
    content["gateways"]["edge"]["statuses"] = {
        "carried_out": ["accepted"],
        "not_carried_out": ["busy"],
    }
    applied = harness.apply(content)
    assert applied.code == 1
    assert list(applied.outcomes().values()) == ["transferred", "rejected"]
