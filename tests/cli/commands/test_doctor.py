"""`doctor` connects as a run would, moves nobody, and says what stands in the way."""

from __future__ import annotations

import json
import socket
from typing import Any

from tests.e2e.harness import Ended, Harness, manifest, transfer
from tests.foreign.gateway import CLIENT_SECRET, Gateway
from tests.foreign.wire import WebResponse


def examined(harness: Harness, gateway: Gateway, **changes: Any) -> tuple[Ended, dict[str, Any]]:
    document = manifest(gateway, [transfer()])
    document["environments"]["foreign"] |= changes
    ended = harness.run("doctor", harness.write(document), "--output", "json")
    result: dict[str, Any] = json.loads(ended.out)
    return ended, {check["name"]: check for check in result["checks"]}


def test_where_all_is_well_every_step_is_reported_and_nothing_is_moved(
    gateway: Gateway, harness: Harness
):
    ended, checks = examined(harness, gateway)
    assert ended.code == 0, ended.err
    health = {name: check["health"] for name, check in checks.items()}
    assert set(health.values()) == {"ok"}
    assert {"manifest", "DNS 127.0.0.1", "token", "clock", "look-up", "session"} <= set(health)
    assert not gateway.frames
    assert not (harness.folder / ".runner").exists()
    assert CLIENT_SECRET not in ended.out + ended.err


def test_a_person_reads_it_in_lines_with_the_fix_below(gateway: Gateway, harness: Harness):
    gateway.token_answers = [WebResponse(401, {"error": "invalid_client"})] * 9
    ended = harness.run("doctor", harness.write(manifest(gateway, [transfer()])))
    assert ended.code == 4
    lines = ended.out.splitlines()
    [refused] = [n for n, line in enumerate(lines) if line.startswith("failed")]
    assert "the token server refuses: 401 invalid_client" in lines[refused]
    assert "-> check the credentials' references" in lines[refused + 1]
    assert lines[-1] == "1 of these would stop a run; nothing was moved"


def test_what_comes_after_a_failure_is_skipped_and_says_why(gateway: Gateway, harness: Harness):
    gateway.token_answers = [WebResponse(401, {"error": "invalid_client"})] * 9
    _, checks = examined(harness, gateway)
    assert checks["session"]["health"] == "skipped"
    assert checks["session"]["seen"] == "there is no token"


def test_where_nothing_listens_it_says_so_of_that_address(gateway: Gateway, harness: Harness):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        endpoints = {
            "token_url": gateway.token_url,
            "api_url": f"http://127.0.0.1:{port}",
            "websocket_url": gateway.websocket_url,
        }
        ended, checks = examined(harness, gateway, endpoints=endpoints)
    assert ended.code == 4
    refused = checks[f"127.0.0.1:{port}"]
    assert refused["health"] == "failed"
    assert refused["seen"] == "the connection was refused: nothing listens there"


def test_a_token_without_the_right_to_look_up_is_reported_with_the_scope(
    gateway: Gateway, harness: Harness
):
    refusal = WebResponse(403, {"code": "missing.scope"})
    gateway.look_up_answers["runner-doctor"] = [refusal]
    ended, checks = examined(harness, gateway)
    assert ended.code == 4
    assert checks["look-up"]["seen"].endswith("the token lacks the scope interaction:view")


def test_a_refused_session_is_reported_as_by_a_run(gateway: Gateway, harness: Harness):
    gateway.handshake_answers = [403] * 9
    ended, checks = examined(harness, gateway)
    assert ended.code == 4
    assert checks["session"]["health"] == "failed"
    assert "403" in checks["session"]["seen"]


def test_a_wrong_manifest_is_3_as_everywhere(gateway: Gateway, harness: Harness):
    ended = harness.run("doctor", harness.write(manifest(gateway, [{"interaction_id": ""}])))
    assert ended.code == 3


def test_a_log_that_cannot_be_kept_is_reported_first(gateway: Gateway, harness: Harness):
    path = harness.write(manifest(gateway, [transfer()]))
    refused = harness.run("doctor", path, "--log-file", "no/such/folder.log")
    assert (refused.code, refused.out) == (2, "")
    assert "the log file no/such/folder.log cannot be opened" in refused.err
    assert harness.run("doctor", path, "--log-file", "doctor.log", "-v").code == 0
    assert (harness.folder / "doctor.log").exists()
