"""A canary secret is searched for wherever it could have leaked."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.e2e.callbacks import with_callback
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import CLIENT_SECRET, Gateway
from tests.foreign.receiver import Receiver
from tests.foreign.script import MUTE, Step
from tests.foreign.wire import WebResponse

KEY = b"canary-webhook-key-91c2f"
HOOK_SECRET = "whsec_" + base64.b64encode(KEY).decode()


def forms_of(secret: str) -> list[bytes]:
    """Return how a secret may look where it does not belong."""
    encoded = secret.encode()
    return [
        encoded,
        base64.b64encode(b"foreign-client:" + encoded),
        base64.b64encode(encoded).rstrip(b"="),
        encoded.hex().encode(),
    ]


TOKEN = "canary-url-token-5d1f"
BEARER = "canary-bearer-77aa"
NOTE = "canary-note-e0b4"


@pytest.mark.parametrize("way", ["well", "refused", "verbose-doubt"])
def test_no_secret_is_left_anywhere(gateway: Gateway, harness: Harness, way: str):
    """Output, log file, journal with all its files, and every report are searched."""
    harness.env["HOOK_SECRET"] = HOOK_SECRET
    one = transfer()
    if way == "refused":
        echo = {"error": "invalid_client", "error_description": f"not {CLIENT_SECRET}"}
        gateway.token_answers = [WebResponse(401, echo)] * 9
    if way == "verbose-doubt":
        gateway.scripts[one["interaction_id"]] = [MUTE]
    with Receiver() as receiver:
        harness.env |= {"HOOK_URL": f"{receiver.url}/{TOKEN}", "HOOK_BEARER": f"Bearer {BEARER}"}
        content = with_callback(
            manifest(gateway, [one, transfer()], preflight=True),
            receiver,
            url={"env": "HOOK_URL"},
            headers={"Authorization": {"env": "HOOK_BEARER"}, "X-Site": "ams"},
        )
        if way == "well":
            harness.env["NOTE_URL"] = f"{receiver.url.replace('http:', 'json:')}/{NOTE}"
            content["notify"] = [{"url": {"env": "NOTE_URL"}}]
        applied = harness.apply(content, "-vv", "--log-file", "run.log")
        hooks = [each for each in receiver.requests if TOKEN in each.path]
        assert {each.headers["authorization"] for each in hooks} <= {f"Bearer {BEARER}"}
        assert bool(hooks) == (way != "refused")
        if way == "well":
            messages = [each for each in receiver.requests if NOTE in each.path]
            assert [b"began" in each.body for each in messages] == [True, False]
            assert applied.report.run["notifications"]["sent"] == 2
    assert applied.code == {"well": 0, "refused": 4, "verbose-doubt": 6}[way]
    said = (applied.ended.out + applied.ended.err).encode()
    left = {path: path.read_bytes() for path in files(harness.folder)}
    assert {"foreign.db", "run.log", "report.html", "audit.jsonl"} <= {p.name for p in left}
    for secret in (
        CLIENT_SECRET,
        HOOK_SECRET.removeprefix("whsec_"),
        KEY.decode(),
        TOKEN,
        BEARER,
        NOTE,
        "token-1",
    ):
        for form in forms_of(secret):
            assert form not in said
            assert [path for path, content in left.items() if form in content] == []


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "batch.yaml"]


def test_what_runs_leave_is_for_their_owner_alone(gateway: Gateway, harness: Harness):
    gateway.default = Step()
    harness.apply(manifest(gateway, [transfer()]))
    modes = {path.name: path.stat().st_mode & 0o077 for path in files(harness.folder)}
    assert {name for name, open_to_others in modes.items() if open_to_others} == set()
