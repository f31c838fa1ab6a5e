"""One run has one duration, from its begin to its end, and every output says the same one."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

from prometheus_client.parser import text_string_to_metric_families

from runner.core.number_text import duration
from runner.core.timestamps import seconds
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway


def test_every_output_of_a_run_has_the_same_duration(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer() for _ in range(3)])
    content["policy"]["waves"] = [1, {"size": "100%", "pause": "1200ms"}]
    applied = harness.apply(content, "--yes", "--metrics-file", "run.prom")
    run, as_json = applied.report.run, ("--output", "json")
    assert harness.run("apply", "batch.yaml").code == 0
    formats, listed, one, compared, tabled = harness.run_together(
        ["report", run["id"], "--format", "md,junit"],
        ["status"],
        ["status", run["id"], *as_json],
        ["report", "--compare", run["id"], "latest", *as_json],
        ["report", "--compare", run["id"], "latest"],
    )
    assert formats.code == 0, formats.err

    span_s = seconds(run["finished_at"]) - seconds(run["started_at"])
    said, counted = duration(span_s), round(span_s, 3)
    assert span_s > 1.2
    assert json.loads(one.out)["run"]["duration_s"] == counted
    document = json.loads(compared.out)
    assert document["before"]["duration_s"] == counted
    assert run["duration_s"] == counted

    folder = applied.report.folder
    assert f"run {run['id']}, duration {said}\n" in applied.ended.out
    assert f", duration {said}\n" in listed.out
    assert re.search(rf"^  duration +{said} ", tabled.out, re.MULTILINE), tabled.out
    page = (folder / "report.html").read_text("utf-8")
    assert f", in {said}." in page
    assert f"<dt>Duration</dt><dd>{said}</dd>" in re.sub(r"</?bdi>|\s*\n\s*", "", page)
    assert f"| **Duration** | {said} |" in (folder / "report.md").read_text("utf-8")
    suite = ET.parse(folder / "report.junit.xml").getroot()[0]
    assert suite.get("time") == f"{span_s:.3f}"

    metrics = {
        sample.name: sample.value
        for family in text_string_to_metric_families((harness.folder / "run.prom").read_text())
        for sample in family.samples
    }
    ends = metrics["runner_finished_timestamp_seconds"], metrics["runner_started_timestamp_seconds"]
    assert round(ends[0] - ends[1], 3) == counted
