"""`--output json`: every command's document is of the kind and version that the schema describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from runner.core.diagnostics.codes import CODES
from runner.core.transfer.outcome import Outcome
from tests.cli.result_schema import RESULT, checked
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, Step

KINDS = {
    *("apply", "plan", "problems", "error", "status"),
    *(
        "report",
        "report_index",
        "comparison",
        "resolution",
        "control",
        "audit",
        "prune",
        "checkup",
        "progress",
    ),
    *("explanations", "resolutions", "reversal", "approvals"),
}


def test_every_result_satisfies_the_schema(gateway: Gateway, harness: Harness):
    doubtful, refused = transfer(key="doubtful"), transfer(key="refused")
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    gateway.scripts[refused["interaction_id"]] = [Step("transfer_rejected", reason="queue_full")]
    path = harness.write(manifest(gateway, [doubtful, refused, transfer()]))
    as_json = ("--output", "json")
    none = dict.fromkeys(Outcome, 0)
    pending = harness.run("plan", path, "--detailed-exitcode", *as_json)
    assert (pending.code, checked(pending.out, "plan")["exit_code"]) == (10, 10)
    checked(harness.run("apply", path, "--validate-only", *as_json).out, "plan")
    applied = harness.run("apply", path, *as_json)
    result = checked(applied.out, "apply")
    assert result["exit_code"] == applied.code == 6
    assert result["counts"] == none | {"transferred": 1, "rejected": 1, "in_doubt": 1}
    run = result["run"]
    wrong = harness.write(manifest(gateway, [transfer(to="nowhere")]), "wrong.yaml")
    told_of = harness.run_together(
        ["status", *as_json],
        ["status", run, *as_json],
        ["report", run, "--format", "md,csv", *as_json],
        ["audit", "verify", run, *as_json],
        ["reports", "prune", "--dry-run", *as_json],
        ["apply", wrong, *as_json],
        ["report", "no-such-run", *as_json],
        ["doctor", path, *as_json],
        ["explain", "r002", *as_json],
        ["explain", *as_json],
        ["report", "--index", *as_json],
    )
    kinds = ["status", "status", "report", "audit", "prune", "problems", "error", "checkup"]
    kinds += ["explanations", "explanations", "report_index"]
    documents = [checked(ended.out, kind) for ended, kind in zip(told_of, kinds, strict=True)]
    assert "runs" in documents[0]
    shared = result.keys() - {"version", "kind", "plan", "groups", "next_steps"}
    assert shared <= documents[1]["run"].keys(), "the same fields for the same things"
    assert {name: result[name] for name in shared} == {
        name: documents[1]["run"][name] for name in shared
    }
    assert [doubt["key"] for doubt in documents[1]["run"]["doubts"]] == ["doubtful"]
    assert [ended.code for ended in told_of] == [0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0]
    assert [each["code"] for each in documents[8]["codes"]] == ["R002"]
    assert len(documents[9]["codes"]) == len(CODES)
    word = ("--as", "failed", "--reason", "seen", *as_json)
    dry = harness.run("resolve", run, "--all", *word, "--dry-run")
    assert len(checked(dry.out, "resolutions")["resolved"]) == 1
    checked(harness.run("resolve", run, "doubtful", *word).out, "resolution")
    undo = ("--manifest", path, "--out", "undo.yaml", *as_json)
    checked(harness.run("revert", run, *undo).out, "reversal")
    checked(harness.run("apply", path, *as_json).out, "apply")
    compared = checked(
        harness.run("report", "--compare", run, "latest", *as_json).out, "comparison"
    )
    watched = harness.run("status", run, "--watch", *as_json).out.splitlines()
    assert {checked(line, "progress")["state"] for line in watched} == {"finished"}
    assert compared["before"]["summary"]["rejected"] == 1


def test_a_plan_whose_report_cannot_be_kept_is_shown_and_says_so(
    gateway: Gateway, harness: Harness
):
    path = harness.write(manifest(gateway, [transfer(), transfer()]))
    (harness.folder / "taken").write_text("a file")
    nowhere = ("--report-dir", "taken")
    shown = harness.run("plan", path, *nowhere)
    assert shown.code == 74
    assert "2 of 2 transfers would be sent" in shown.out
    assert "its report was not kept: cannot write taken" in shown.out
    assert "see the report" not in shown.out
    told = harness.run("plan", path, *nowhere, "--output", "json")
    document = checked(told.out, "plan")
    assert (told.code, document["exit_code"], document["report"]) == (74, 74, None)
    assert len(document["moves"]) == 2


def test_a_plan_that_cannot_be_written_is_shown_and_says_so(gateway: Gateway, harness: Harness):
    path = harness.write(manifest(gateway, [transfer(), transfer()]))
    (harness.folder / "taken").write_text("a file")
    shown = harness.run("plan", path, "--out", "taken/plan.json")
    assert shown.code == 74
    assert "2 of 2 transfers would be sent" in shown.out
    assert "the plan taken/plan.json cannot be written" in shown.out
    assert "apply taken/plan.json" not in shown.out + shown.err


def test_the_schema_describes_every_kind_and_every_field():
    jsonschema.Draft202012Validator.check_schema(RESULT)
    kinds = [
        RESULT["$defs"][each["$ref"].rpartition("/")[2]]["properties"]["kind"]["const"]
        for each in RESULT["oneOf"]
    ]
    assert sorted(kinds) == sorted(KINDS)
    for place, part in parts(RESULT, "$"):
        if "properties" in part:
            assert part["additionalProperties"] is False, place
            for name, inner in part["properties"].items():
                assert "$ref" in inner or inner.get("description"), f"{place}.{name}"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"version": 1, "kind": "status"},
        {"version": 2, "kind": "report", "run": "r", "batch": "b", "files": []},
        {"version": 1, "kind": "report", "run": "r", "batch": "b", "files": [], "more": 1},
        {"version": 1, "kind": "rapport", "run": "r", "batch": "b", "files": []},
    ],
)
def test_another_shape_version_or_kind_is_refused(wrong: dict[str, Any]):
    validator = jsonschema_rs.validator_for(RESULT)
    assert validator.is_valid(
        {"version": 1, "kind": "report", "run": "r", "batch": "b", "files": []}
    )
    assert not validator.is_valid(wrong)


def parts(part: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        yield place, part
        for name, inner in part.items():
            yield from parts(inner, f"{place}.{name}")
    elif isinstance(part, list):
        for inner in part:
            yield from parts(inner, place)
