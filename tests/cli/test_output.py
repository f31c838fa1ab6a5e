"""A result that is lost: what only shows something must not end well then."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from runner.cli.output import Console, must_be_shown
from runner.console.output_streams import LossyStream
from runner.core.errors import StorageError
from runner.core.exit_code import ExitCode
from tests.e2e.harness import Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway


def console(error: Exception) -> Console:
    """Return a console whose stdout was lost to `error`."""
    out = LossyStream(io.StringIO())
    out.lose(error)
    return Console(out, LossyStream(io.StringIO()))


def test_a_reader_that_had_enough_is_no_loss():
    with must_be_shown(console(BrokenPipeError())):
        pass


def test_a_lost_result_does_not_end_well():
    with (
        pytest.raises(StorageError, match=r"cannot be written to stdout \(no space\)"),
        must_be_shown(console(OSError("no space"))),
    ):
        pass
    with pytest.raises(StorageError), must_be_shown(console(OSError("no space"))):
        raise SystemExit(ExitCode.OK)


def test_another_exit_code_stands():
    with pytest.raises(SystemExit) as ended, must_be_shown(console(OSError("no space"))):
        raise SystemExit(ExitCode.FAILURES)
    assert ended.value.code == ExitCode.FAILURES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_stdout_is_reported(gateway: Gateway, harness: Harness):
    path = harness.write(manifest(gateway, [transfer()]))
    assert harness.run("apply", path, "--yes").code == 0
    for words in (
        ["report", "latest", "--format", "csv", "--out", "-"],
        ["status", "latest"],
        ["audit", "verify", "latest"],
        ["plan", str(path)],
        ["schema", "manifest"],
        ["explain", "R011"],
    ):
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(
                command(*words),
                cwd=harness.folder,
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (words, ended.returncode) == (words, 74)
        assert "cannot be written to stdout" in ended.stderr
