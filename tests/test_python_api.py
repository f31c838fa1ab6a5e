"""`from runner import load, plan, apply`: what docs/python.md promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runner
from runner.api import ExitCode, ManifestInvalid, Outcome, Question, Stop, UsageError
from runner.app.init import write_template
from runner.testing.observer import RecordingObserver
from tests.e2e.harness import environment

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_template(tmp_path, "simulator")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(example: str, folder: Path) -> str:
    """Run an example in a folder; return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-c", example],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_the_example_runs_and_is_short(folder: Path):
    example, _ = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len([line for line in example.splitlines() if line]) <= 20
    shown = printed(example, folder)
    assert shown.startswith("rehearsal 3 to send\n")
    assert shown.endswith("vip-17 transferred\n3f2504e0-4f89-41d3-9a0c-0305e82c3303 transferred\n")


def test_importing_the_package_loads_nothing_else():
    script = "import sys, runner; print(sorted(m for m in sys.modules if m.startswith('runner')))"
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "['runner']\n"
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        runner.no_such_name  # noqa: B018 - asked for to see the error


def test_each_public_name_is_there():
    for name in runner.__all__:
        assert getattr(runner, name) is not None
    for name in runner.api.__all__:
        assert getattr(runner.api, name) is not None


def test_a_second_run_finds_nothing_to_do(folder: Path):
    batch = runner.load(folder / "manifest.yaml", limit=2)
    assert (batch.name, batch.environment, batch.is_simulated) == ("rehearsal", "calm", True)
    assert batch.transfers == 3
    observer, asked = RecordingObserver(), []

    def confirm(question: Question) -> bool:
        asked.append(question.send)
        return True

    first = runner.apply(batch, observer=observer, confirm=confirm)
    assert (first.ok, asked) == (True, [2])
    assert observer.progress
    assert first.counts[Outcome.TRANSFERRED] == 2
    assert [each.outcome for each in first.transfers()].count(Outcome.TRANSFERRED) == 2
    planned = runner.plan(batch)
    assert (planned.send, planned.unchanged) == (1, 2)
    assert planned.report.is_dir()


@pytest.mark.usefixtures("folder")
def test_a_run_can_be_stopped_before_it_sends():
    stop = Stop()
    stop.request("the change was called off")
    result = runner.apply(runner.load("manifest.yaml"), stop=stop)
    assert result.code is ExitCode.INTERRUPTED
    assert "called off" in str(result.explanation)
    assert result.counts[Outcome.TRANSFERRED] == 0


@pytest.mark.usefixtures("folder")
def test_nothing_live_is_touched_unless_it_is_written(tmp_path: Path):
    path = write_template(tmp_path / "live", "interaction-websocket")
    text = path.read_text("utf-8")
    text = re.sub(r"\{env: GENESYS_\w+\}", '{env: "PATH"}', text)
    path.write_text(text)
    with pytest.raises(UsageError, match="live=True"):
        runner.apply(runner.load(path, environment="production"))


def test_what_changed_after_it_was_loaded_is_refused(folder: Path):
    batch = runner.load("manifest.yaml")
    path = folder / "manifest.yaml"
    path.write_text(path.read_text("utf-8").replace("billing-new", "elsewhere"))
    with pytest.raises(UsageError, match="changed after it was loaded"):
        runner.apply(batch)
    with pytest.raises(UsageError, match="changed after it was loaded"):
        runner.plan(batch)


def test_an_invalid_manifest_says_where_and_what_to_write(folder: Path):
    path = folder / "manifest.yaml"
    path.write_text(path.read_text("utf-8").replace("media: voice\n", "media: voize\n"))
    with pytest.raises(ManifestInvalid) as caught:
        runner.load(path)
    [problem] = caught.value.problems
    assert problem.place is not None
    assert "voice" in problem.help


STAND_IN = '''
"""What docs/python.md uses of pandas, which is too large to install for one example."""

class DataFrame:
    def __init__(self, rows):
        self._rows = list(rows)

    def groupby(self, column):
        groups = {}
        for row in self._rows:
            groups.setdefault(row[column], []).append(row)
        return _Groups(groups)

class _Groups:
    def __init__(self, groups):
        self._groups = groups

    def __getitem__(self, column):
        return _Column({name: [row[column] for row in rows] for name, rows in self._groups.items()})

class _Column:
    def __init__(self, values):
        self._values = values

    def describe(self):
        return {name: sorted(float(each) for each in values) for name, values in self._values.items()}
'''


def test_the_columns_of_the_pandas_example_are_those_of_a_report(folder: Path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    example = "\n".join(blocks).replace("raise SystemExit(result.code)\n", "")  # it goes on
    (folder / "pandas.py").write_text(STAND_IN)
    shown = printed(example, folder)
    described = ast.literal_eval(shown.splitlines()[-1])
    assert list(described) == ["transferred"]
    assert len(described["transferred"]) == 3
