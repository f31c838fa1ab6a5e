"""What a run leaves on disk is its owner's alone, whatever the umask."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from tests.e2e.harness import PATIENCE_S, Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step


def modes(folder: Path, *names: str) -> dict[str, str]:
    """Return the modes of what lies in a folder, links left out."""
    return {
        path.relative_to(folder).as_posix(): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in folder.rglob("*")
        if not path.is_symlink() and (not names or path.name in names)
    }


def test_every_file_is_its_owners_alone_while_it_is_written_and_after(
    gateway: Gateway, harness: Harness
):
    """Journal, -wal, -shm, lock, log and reports, under the customary umask 022."""
    gateway.default = Step(until="seen")
    path = harness.write(manifest(gateway, [transfer()]))
    with subprocess.Popen(
        command("apply", path, "--log-file", "run.log"),
        cwd=harness.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        umask=0o022,
    ) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 1)
        meanwhile = modes(harness.folder / ".runner")
        gateway.release("seen")
        assert process.wait(PATIENCE_S) == 0
    expected = {"foreign.db", "foreign.db-wal", "foreign.db-shm", "foreign.db.lock"}
    control = {"foreign.db.control": "0o700", "foreign.db.control/socket": "0o600"}
    assert meanwhile == dict.fromkeys(expected, "0o600") | control
    after = modes(harness.folder)
    assert after.pop(path.name) != "0o600"  # the umask was really 022
    folders = {name for name in after if (harness.folder / name).is_dir()}
    files = after.keys() - folders
    assert {Path(name).name for name in files} >= {
        "report.json",
        "report.html",
        "audit.jsonl",
        "foreign.db",
        "run.log",
    }
    assert {after[name] for name in files} == {"0o600"}
    assert {after[name] for name in folders} <= {"0o700", "0o755"}
    assert after[".runner"] == "0o700"
