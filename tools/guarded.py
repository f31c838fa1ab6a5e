"""Rehearses a guarded cut-over: waves with a gate and a confirmation, a queue that is worked off.

It applies `manifests/guarded-cutover.yaml` against the embedded gateway, and confirms the last wave from
beside, as an operator does in another terminal. Kept is the run's report. The exit code is the run's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNNER = [sys.executable, "-m", "runner"]
MANIFEST = ROOT / "manifests" / "guarded-cutover.yaml"
LOOK_S = 0.5


def confirmation(journal: Path) -> str | None:
    """Return the question that the run waits with; None: it asks nothing now."""
    shown = subprocess.run(
        [*RUNNER, "control", "show", "--journal", journal, "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode != 0:
        return None
    question = json.loads(shown.stdout)["answers"][0]["state"]["confirmation"]
    return None if question is None else str(question)


def main() -> int:
    """Apply, confirm, and return the run's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "guarded.db"
        apply = [*RUNNER, "apply", MANIFEST, "--yes", "--journal", journal]
        run = subprocess.Popen([*apply, "--report-dir", ROOT / "reports"])
        try:
            while run.poll() is None:
                time.sleep(LOOK_S)
                question = confirmation(journal) if journal.exists() else None
                if question is not None:
                    sys.stdout.write(f"{question}  → runner control continue\n")
                    sys.stdout.flush()
                    control = [*RUNNER, "control", "continue", "--journal", journal]
                    subprocess.run(
                        [*control, "--reason", "rehearsed by make guarded"],
                        check=False,
                        stdout=subprocess.DEVNULL,
                    )
        finally:
            run.terminate()
            run.wait()
        return run.returncode


if __name__ == "__main__":
    sys.exit(main())
