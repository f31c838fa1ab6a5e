"""Canary secrets, searched for wherever a run leaves anything (command line, "Secrets")."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PATIENCE_S, Harness, Process, manifest, started, transfer
from tests.foreign.gateway import CLIENT_ID, CLIENT_SECRET, SCOPES, Gateway
from tests.foreign.script import Step
from tests.foreign.wire import WebResponse

ACCESS_TOKEN = "canary-access-token-51c0aa77"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"canary-webhook-secret-93d1").decode()
CANARIES = {
    "client secret": CLIENT_SECRET,
    "client credentials": base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode(),
    "access token": ACCESS_TOKEN,
    "webhook secret": WEBHOOK_SECRET.removeprefix("whsec_"),
    "webhook secret, decoded": "canary-webhook-secret-93d1",
}
GRANTED = {"access_token": ACCESS_TOKEN, "token_type": "bearer", "expires_in": 3600}
BUG = """\
import uuid

def broken():
    raise ZeroDivisionError("a planted fault")

uuid.uuid4 = broken
"""


@pytest.fixture
def granting(gateway: Gateway) -> Gateway:
    """Return the gateway, granting the canary token and no other."""
    answer = WebResponse(body=GRANTED | {"scope": SCOPES})
    gateway.token_answers.extend([answer] * 9)
    gateway._tokens.add(ACCESS_TOKEN)
    return gateway


def secretive(gateway: Gateway, folder: Path, **fields: Any) -> dict[str, Any]:
    """Return a manifest that takes a secret from each place that secrets are taken from."""
    (folder / "client_secret").write_text(CLIENT_SECRET + "\n")
    (folder / "webhook_secret").write_text(WEBHOOK_SECRET + "\n")
    callback = {
        "url": f"{gateway.api_url}/hook",
        "secret": {"command": ["cat", str(folder / "webhook_secret")]},
        "allow_private": True,
    }
    content = manifest(
        gateway,
        [transfer(callbacks=["crm"]) for _ in range(3)],
        preflight=True,
        callbacks={"crm": callback},
        **fields,
    )
    content["environments"]["foreign"]["credentials"] = {
        "client_id": {"env": "FOREIGN_ID"},
        "client_secret": {"file": "client_secret"},
    }
    return content


def assert_kept(texts: Mapping[str, bytes]) -> None:
    """Assert that no canary is in any text, in plain or in an escaped form."""
    for place, text in texts.items():
        for name, canary in CANARIES.items():
            assert canary.encode() not in text, f"the {name} is told in {place}"


def summarized(harness: Harness) -> Path:
    """Let commands run as a step of GitHub Actions; return the file of its summary."""
    path = harness.folder / "step.md"
    harness.env["GITHUB_STEP_SUMMARY"] = str(path)
    return path


def left_behind(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file of a folder but those that the secrets came from."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.endswith("_secret"):
            yield path.name, path.read_bytes()


def process_arguments(process: Process) -> dict[str, bytes]:
    """Return what everyone on this machine may read of a process and its children."""
    task = Path(f"/proc/{process.pid}/task/{process.pid}")
    pids = [str(process.pid), *(task / "children").read_text().split()]
    return {f"/proc/{pid}/cmdline": Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}


@pytest.mark.parametrize("log_format", ["json", "pretty"])
@pytest.mark.parametrize("verbosity", ["-vv", "-q"])
def test_a_run_tells_no_secret(
    granting: Gateway, harness: Harness, log_format: str, verbosity: str
):
    """Nor does its journal while it is being written, nor its process arguments."""
    granting.default = Step(until="seen")
    path = harness.write(secretive(granting, harness.folder))
    options = ["--log-format", log_format, verbosity, "--log-file", "run.log"]
    with started("apply", path, *options, cwd=harness.folder, fresh=True) as process:
        granting.wait_until(lambda: len(granting.frames) == 3)
        arguments = process_arguments(process)
        meanwhile = dict(left_behind(harness.folder))
        granting.release("seen")
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert arguments
    assert any(name.endswith("-wal") and text for name, text in meanwhile.items())
    assert granting.handshakes[0]["authorization"] == f"Bearer {ACCESS_TOKEN}"
    left = dict(left_behind(harness.folder))
    assert {"report.json", "report.html", "audit.jsonl", "run.log"} <= left.keys()
    assert_kept(arguments)
    assert_kept(meanwhile)
    assert_kept(left | {"stdout": out.encode(), "stderr": err.encode()})


@pytest.mark.parametrize("output", ["pretty", "json", "github"])
def test_a_refused_client_is_told_without_its_secret(
    gateway: Gateway, harness: Harness, output: str
):
    """Even where the token server repeats what it was sent."""
    echo = {"error": "invalid_client", "error_description": f"who is {CLIENT_SECRET}?"}
    gateway.token_answers.extend([WebResponse(401, echo), WebResponse(401, echo)])
    path = harness.write(secretive(gateway, harness.folder))
    options = ["--output", output, "-vv", "--log-file", "run.log"]
    summary = summarized(harness)
    ended = harness.run("apply", path, *options)
    assert ended.code == 4, ended
    assert "invalid_client" in ended.out + ended.err
    said = {"stdout": ended.out.encode(), "stderr": ended.err.encode()}
    told = unescape(summary.read_text("utf-8"))
    assert "invalid_client" in told
    said["the step's summary"] = told.encode()
    assert_kept(dict(left_behind(harness.folder)) | said)


def test_a_refused_token_is_told_without_it(granting: Gateway, harness: Harness):
    granting.handshake_answers.extend([401, 401, 401])
    path = harness.write(secretive(granting, harness.folder))
    ended = harness.run("apply", path, "-vv", "--log-file", "run.log")
    assert ended.code == 4, ended
    said = {"stdout": ended.out.encode(), "stderr": ended.err.encode()}
    assert_kept(dict(left_behind(harness.folder)) | said)


def test_a_token_that_the_gateway_repeats_is_told_no_further(granting: Gateway, harness: Harness):
    """A close reason and a reply that repeat the bearer's header are shown without it."""
    content = secretive(granting, harness.folder)
    first, second, _ = content["transfers"]
    echo = f"bad header Authorization: Bearer {ACCESS_TOKEN}"
    granting.scripts[first["interaction_id"]] = [Step("transfer_rejected", reason=echo)]
    granting.scripts[second["interaction_id"]] = [
        Step(close_code=1011, close_reason=echo, effect=False)
    ]
    summary = summarized(harness)
    ended = harness.run("apply", harness.write(content), "-vv", "--log-file", "run.log")
    assert ended.code == 6, ended
    said = {"stdout": ended.out.encode(), "stderr": ended.err.encode()}
    told = unescape(summary.read_text("utf-8"))
    assert "bad header" in told
    said["the step's summary"] = told.encode()
    assert_kept(dict(left_behind(harness.folder)) | said)


def test_the_trace_of_a_bug_tells_no_secret(granting: Gateway, harness: Harness):
    """A fault planted in the standard library comes out as exit 70, with its trace in the log."""
    faulty = harness.folder / "faulty"
    faulty.mkdir()
    (faulty / "sitecustomize.py").write_text(BUG)
    harness.env["PYTHONPATH"] = os.pathsep.join([str(faulty), str(Path(__file__).parents[2])])
    path = harness.write(secretive(granting, harness.folder))
    ended = harness.run("apply", path, "-vv", "--log-file", "run.log")
    assert ended.code == 70, ended
    log = (harness.folder / "run.log").read_text()
    traces = [
        line["exception"] for line in map(json.loads, log.splitlines()) if "exception" in line
    ]
    assert any("Traceback" in trace and "a planted fault" in trace for trace in traces), log
    said = {"stdout": ended.out.encode(), "stderr": ended.err.encode()}
    assert_kept(dict(left_behind(harness.folder)) | said)


def test_a_secret_in_plain_text_among_the_headers_stays_in_the_manifest(
    granting: Gateway, harness: Harness
):
    """The loader lets headers say what they like; the report that shows the manifest does not."""
    canary = "canary-header-7d1e22"
    content = secretive(granting, harness.folder)
    content["callbacks"]["crm"]["headers"] = {"X-Api-Key": canary, "X-Site": "ams-7"}
    path = harness.write(content)
    ended = harness.run("apply", path, "-vv", "--log-file", "run.log")
    assert ended.code == 0, ended
    again = harness.run("report", "latest", "--format", "html", "--manifest", path)
    assert again.code == 0, again
    left = {name: text for name, text in left_behind(harness.folder) if name != path.name}
    assert b"ams-7" in left["report.html"]
    assert [name for name, text in left.items() if canary.encode() in text] == []


@pytest.mark.parametrize("output", ["pretty", "json"])
@pytest.mark.parametrize(
    "name", ["secret-in-other-faults", "secret-that-is-no-text", "secret-twice-in-broken-yaml"]
)
def test_no_fault_of_a_secret_tells_it(harness: Harness, name: str, output: str):
    """Not in a message, not in a mend, not in the line shown: whatever is wrong with it."""
    text = (Path(__file__).parents[1] / "manifests" / "invalid" / f"{name}.yaml").read_text()
    path = harness.folder / "m.yaml"
    path.write_text(text)
    ended = harness.run("apply", path, "--validate-only", "--output", output)
    assert ended.code == 3, ended
    assert re.search("Y008|Y007", ended.out + ended.err)
    assert re.search(r"hunter|91234567890", ended.out + ended.err) is None
