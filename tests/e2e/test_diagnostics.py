"""What a newcomer reads when a manifest is wrong, word for word.

Each `diagnostics/NAME.pretty` is what standard error tells of `runner apply NAME.yaml --validate-only`,
run in the folder of the manifest. To write them anew after a message has changed, and then to read what
changed: `DIAGNOSTICS=write pytest tests/e2e/test_diagnostics.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE_S, ROOT, environment
from tests.manifest.libyaml import named

INVALID = ROOT / "tests" / "manifests" / "invalid"
EXPECTED = Path(__file__).parent / "diagnostics"
NAMES = sorted(path.stem for path in INVALID.glob("*.yaml"))

# Runs the command for each name in one process: the start would cost more than the work.
EACH = """
import os, sys
from runner.__main__ import main

folder, *names = sys.argv[1:]
told = os.fdopen(os.dup(1), "w")
for name in names:
    for number, kind in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}.{kind}", os.O_CREAT | os.O_WRONLY), number)
    sys.argv = ["runner", "apply", f"{name}.yaml", "--validate-only", "--report-dir", folder]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush(), sys.stderr.flush()
        print(name, int(ended.code), file=told, flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """Return each manifest's exit code, standard output and standard error."""
    folder = tmp_path_factory.mktemp("answers")
    ran = subprocess.run(
        [sys.executable, "-c", EACH, str(folder), *NAMES],
        cwd=INVALID,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    codes = dict(line.split() for line in ran.stdout.splitlines())
    return {
        name: (
            int(codes[name]),
            (folder / f"{name}.out").read_text("utf-8"),
            (folder / f"{name}.err").read_text("utf-8"),
        )
        for name in NAMES
    }


@pytest.mark.parametrize("name", named(NAMES))
def test_a_wrong_manifest_is_answered_as_expected(
    name: str, answers: dict[str, tuple[int, str, str]]
):
    code, out, err = answers[name]
    expected = EXPECTED / f"{name}.pretty"
    if os.environ.get("DIAGNOSTICS") == "write":
        EXPECTED.mkdir(exist_ok=True)
        expected.write_text(err, encoding="utf-8")
    assert err == expected.read_text("utf-8")
    if "error[" in err:
        assert (code, out) == (3, "")
    else:
        assert code == 0
        assert out.startswith("valid: ")


def test_no_answer_is_left_over():
    assert sorted(path.stem for path in EXPECTED.glob("*.pretty")) == NAMES
