"""Output that is lost never stops a run, and never changes how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PATIENCE_S, Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step

FULL = Path("/dev/full")
NAMES = ("moved", "refused", "silent")

Loss = Callable[[Sequence[str]], list[str]]


def shell(redirections: str) -> Loss:
    return lambda arguments: ["sh", "-c", f'exec "$@" {redirections}', "sh", *arguments]


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "loss",
    ["</dev/null >&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full", "2>&-"],
)
@pytest.mark.parametrize("options", [(), ("--output", "json", "-vv", "--log-format", "pretty")])
def test_output_that_cannot_be_written_stops_nothing(
    gateway: Gateway, harness: Harness, loss: str, options: tuple[str, ...]
):
    path = harness.write(mixed(gateway))
    arguments = shell(loss)(command("apply", path, *options))
    ended = subprocess.run(
        arguments, cwd=harness.folder, env=environment(), check=False, timeout=PATIENCE_S
    )
    assert ended.returncode == 6
    assert_whole(harness)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_left_stops_nothing(gateway: Gateway, harness: Harness, stream: str):
    """`runner apply … | head -1`, with a reader that is gone before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    with os.fdopen(writing, "wb") as pipe:
        streams: dict[str, Any] = {stream: pipe, other: subprocess.PIPE}
        ended = subprocess.run(
            command("apply", harness.write(mixed(gateway))),
            cwd=harness.folder,
            env=environment(),
            timeout=PATIENCE_S,
            check=False,
            **streams,
        )
    assert ended.returncode == 6
    said = (ended.stdout or b"") + (ended.stderr or b"")
    assert b"Traceback" not in said
    assert b"BrokenPipe" not in said
    assert_whole(harness)


def test_head_gets_its_line_and_the_run_its_end(gateway: Gateway, harness: Harness):
    path = harness.write(mixed(gateway))
    script = '"$@" 2>err | head -1; exit "${PIPESTATUS[0]}"'
    ended = subprocess.run(
        ["bash", "-c", script, "bash", *command("apply", path, "--log-format", "json")],
        cwd=harness.folder,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 6
    assert ended.stdout.count(b"\n") == 1
    assert b"Traceback" not in (harness.folder / "err").read_bytes()
    assert_whole(harness)


def test_an_ascii_locale_is_no_reason_to_fail(gateway: Gateway, harness: Harness):
    """Words beyond ASCII, from the manifest and from the gateway, in the C locale."""
    one = transfer(key="Zürich-☎")
    gateway.scripts[one["interaction_id"]] = [Step("transfer_rejected", reason="niemand da ☎ é")]
    path = harness.write(manifest(gateway, [one], description="Überweisung ☎"))
    ascii_only = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env = {k: v for k, v in environment().items() if k != "PYTHONIOENCODING"} | ascii_only
    ended = subprocess.run(
        command("apply", path, "--log-format", "pretty", "-vv", "--log-file", "run.log"),
        cwd=harness.folder,
        env=env,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 1, ended
    assert "niemand da ☎ é" in ended.stdout.decode("utf-8")
    assert harness.newest_report().json["transfers"][0]["key"] == "Zürich-☎"


def mixed(gateway: Gateway) -> dict[str, object]:
    """Return a manifest whose run ends with 6: one is moved, one refused, one not answered."""
    transfers = [transfer(key=name) for name in NAMES]
    gateway.scripts[transfers[1]["interaction_id"]] = [Step("transfer_rejected")]
    gateway.scripts[transfers[2]["interaction_id"]] = [Step("what?", effect=False)]
    return manifest(gateway, transfers)


def assert_whole(harness: Harness) -> None:
    """Assert that journal and report tell the whole run."""
    report = harness.newest_report()
    report.check(6)
    told = {each["key"]: each["outcome"] for each in report.json["transfers"]}
    assert told == dict(zip(NAMES, ("transferred", "rejected", "in_doubt"), strict=True))
    verdict = subprocess.run(
        [sys.executable, "-c", VERIFY, str(harness.folder / ".runner" / "foreign.db")],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert verdict.stdout.strip() == "ok transferred,rejected,unknown"


VERIFY = """
import sqlite3, sys
journal = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
states = [state for (state,) in journal.execute("SELECT state FROM transfers ORDER BY n")]
print(journal.execute("PRAGMA integrity_check").fetchone()[0], ",".join(states))
"""
