"""A run's metrics file is read by Prometheus's own parser, and replaced whole."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner.core.errors import UsageError
from runner.core.timestamps import seconds
from runner.metrics.metrics_file import MetricsFile
from tests.metrics.builders import PROGRESS


def made(path: Path, warned: list[str] | None = None) -> MetricsFile:
    def warn(event: str, **_: object) -> None:
        (warned if warned is not None else []).append(event)

    labels = {"batch": 'a "quoted"\\ name', "environment": "production"}
    return MetricsFile(path, labels, [], now=lambda: 1.0, wall=lambda: 1_800_000_000.0, warn=warn)


def samples(path: Path) -> dict[Any, float]:
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            assert sample.labels.pop("batch") == 'a "quoted"\\ name'
            assert sample.labels.pop("environment") == "production"
            found[sample.name, *sorted(sample.labels.values())] = sample.value
    return found


def test_the_file_has_where_a_run_stands_and_how_it_ended(tmp_path: Path):
    path = tmp_path / "billing.prom"
    file = made(path)
    begun, ended = "2026-11-27T03:41:02.500000Z", "2026-11-27T03:41:43.750000Z"
    file.noticed("planned", run="20261127T034102Z-a83725", started_at=begun)
    file.progressed(PROGRESS)
    file.ended(6, ended)
    file.close()
    found = samples(path)
    assert found["runner_info", "20261127T034102Z-a83725"] == 1
    assert found["runner_transfers", "in_doubt"] == 1
    assert found["runner_transfers", "transferred"] == 3
    assert found["runner_latency_seconds", "0.99"] == 0.9
    assert found["runner_exit_code",] == 6
    assert found["runner_started_timestamp_seconds",] == seconds(begun)
    assert found["runner_finished_timestamp_seconds",] == seconds(ended)
    assert found["runner_session_open",] == found["runner_waiting",] == 1
    assert ("runner_rate_limit_per_second",) not in found  # not known
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["billing.prom"]


def test_a_run_that_another_one_keeps_out_leaves_its_file_alone(tmp_path: Path):
    path = tmp_path / "billing.prom"
    path.write_text("# HELP runner_info The other run.\n")
    file = made(path)
    file.progressed(PROGRESS)
    file.close()
    assert path.read_text() == "# HELP runner_info The other run.\n"


@pytest.mark.parametrize(
    "content", [b"SQLite format 3\0", b"version: 1\n", b"# HELP node_time x\n"]
)
def test_a_file_that_is_not_a_runs_metrics_is_never_replaced(tmp_path: Path, content: bytes):
    path = tmp_path / "production.db"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="exists and is not a file of metrics"):
        made(path)
    assert path.read_bytes() == content


def test_a_folder_is_refused_and_an_empty_file_is_not(tmp_path: Path):
    with pytest.raises(UsageError, match="exists and is a folder"):
        made(tmp_path)
    (tmp_path / "empty.prom").touch()
    made(tmp_path / "empty.prom").close()


@pytest.mark.parametrize(
    ("target", "told"), [("itself.prom", "a circular link"), ("nowhere", "a link to nothing")]
)
def test_a_link_that_leads_nowhere_is_refused_and_stays(tmp_path: Path, target: str, told: str):
    path = tmp_path / "itself.prom"
    path.symlink_to(target)
    with pytest.raises(UsageError, match=f"exists and is {told}"):
        made(path)
    assert path.is_symlink()


def test_a_file_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path):
    with pytest.raises(UsageError, match=r"--metrics-file .* cannot be written \(no such file"):
        made(tmp_path / "no" / "billing.prom")


def test_one_that_can_no_longer_be_written_is_warned_of(tmp_path: Path):
    warned: list[str] = []
    (tmp_path / "gone").mkdir()
    file = made(tmp_path / "gone" / "billing.prom", warned)
    (tmp_path / "gone").rmdir()
    file.noticed("planned", run="r")
    file.close()
    assert warned == ["the metrics file cannot be written"]


def test_what_ends_while_a_file_is_being_written_is_written_once_more(tmp_path: Path):
    path = tmp_path / "billing.prom"
    begun, ended = threading.Event(), threading.Event()

    def wall() -> float:
        if threading.current_thread() is not threading.main_thread() and not begun.is_set():
            begun.set()
            ended.wait(60.0)
        return 1_800_000_000.0

    labels = {"batch": 'a "quoted"\\ name', "environment": "production"}
    file = MetricsFile(path, labels, [], now=lambda: 1.0, wall=wall, warn=print)
    file.noticed("planned", run="r")
    assert begun.wait(60.0)
    file._ended.set()  # as `close` does before it waits
    file._wanted.set()
    ended.set()
    file.ended(6, None)
    file.close()
    assert samples(path)["runner_exit_code",] == 6
