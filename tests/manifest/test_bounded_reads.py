"""What never ends, or is no file at all, is refused; nothing waits for it or fills memory with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runner.manifest.regular_file import open_regular
from runner.manifest.secret_command import TooMuchOutput, TooSlow, output_of
from tests.manifest.builders import HEAD, LIVE, PEM, write
from tests.manifest.rendering import load_rows, rendered

PRINTS_FOR_EVER = [sys.executable, "-c", "while True: print('y' * 1000)"]
WAITS_FOR_EVER = [sys.executable, "-c", "import threading; threading.Event().wait()"]


@pytest.mark.parametrize("name", ["pipe", "device", "folder"])
def test_only_a_regular_file_is_opened(tmp_path: Path, name: str):
    path = tmp_path / name
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
    }[name]()
    with pytest.raises(OSError, match="a folder" if name == "folder" else "not a regular file"):
        open_regular(path)


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "m.yaml", "id.txt", "ca.pem"])
def test_no_file_of_a_manifest_is_a_pipe_that_is_waited_for(tmp_path: Path, name: str):
    rows = "  - {from: r.csv}\n  - {from: r.jsonl}\n"
    row = '{"interaction_id": "a"}\n'
    path = write(tmp_path, rows, head=LIVE % sys.executable, ca__pem=PEM, id__txt="me",
                 r__csv="interaction_id\nb\n", r__jsonl=row)  # fmt: skip
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    (problem,) = load_rows(path)[0].problems
    assert "not a" in problem.message


@pytest.mark.parametrize("form", ["csv", "jsonl", "yaml"])
def test_twenty_gigabytes_without_a_line_break_are_refused(tmp_path: Path, form: str):
    path = write(tmp_path, f"  - {{from: r.{form}, destination_uri: 'genesys://queue/a'}}\n")
    huge = tmp_path / (f"r.{form}" if form != "yaml" else "m.yaml")
    with huge.open("wb") as stream:
        stream.truncate(20 << 30)
    (problem,) = load_rows(path)[0].problems
    assert "longer than" in problem.message or "larger than" in problem.message


def test_a_command_that_prints_for_ever_is_ended(tmp_path: Path):
    with pytest.raises(TooMuchOutput):
        output_of(PRINTS_FOR_EVER, tmp_path, max_bytes=65_536)


@pytest.mark.parametrize("closed", [False, True])
def test_a_command_that_does_not_end_in_time_is_ended(tmp_path: Path, *, closed: bool):
    command = [*WAITS_FOR_EVER]
    if closed:
        command[2] = "import os; os.close(1); " + command[2]
    with pytest.raises(TooSlow):
        output_of(command, tmp_path, max_bytes=10, timeout_s=0.2 if closed else 0.0)


def test_a_command_that_prints_too_much_is_named(tmp_path: Path):
    head = (LIVE % sys.executable).replace("print('yranac'[::-1])", "print('y' * 70_000)")
    path = write(tmp_path, " []", head=head, id__txt="me", ca__pem=PEM)
    assert "printed more than 64 KiB, and was killed" in rendered(
        load_rows(path, offline=False)[0].problems
    )


@pytest.mark.parametrize("offline", [False, True])
def test_a_relative_program_is_sought_in_the_manifests_folder(tmp_path: Path, *, offline: bool):
    program = tmp_path / "get"
    program.write_text("#!/bin/sh\necho secret\n", encoding="utf-8")
    program.chmod(0o700)
    head = (
        HEAD
        + """environment: live
callbacks: {crm: {url: "https://crm.example.net/"}}
"""
    )
    head = head.replace(
        "environments:\n",
        """environments:
  live:
    driver: interaction-websocket
    region: us
    credentials: {client_id: {command: [./get]}, client_secret: {command: [./get]}}
    gateway: edge
""",
    )
    loaded, _ = load_rows(write(tmp_path, " []", head=head), offline=offline)
    assert rendered(loaded.problems) == ""
