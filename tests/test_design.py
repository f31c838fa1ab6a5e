"""The tables of docs/design say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from runner.core.diagnostics.codes import CODES
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits, Policy
from runner.core.pacing.rate import LONGEST_OBEYED_S
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import STATUSES, Event, classify
from runner.drivers import platforms
from runner.gateways.genesys_cloud.permissions import NEEDS
from runner.gateways.websocket.close_codes import CloseAction, action_for

ROOT = Path(__file__).parents[1]
DESIGN = ROOT / "docs" / "design"
SCHEMA: dict[str, Any] = orjson.loads((ROOT / "schemas" / "manifest.v1.schema.json").read_bytes())


def section(document: str, title: str) -> str:
    """Return the text under a heading, its subsections included."""
    text = (DESIGN / document).read_text("utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{document} has no section {title}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of a text's tables, without their heads."""
    lines = re.findall(r"^ *\|(.*)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    heads = {
        m for n, line in enumerate(cells) if not "".join(line).strip("-: ") for m in (n - 1, n)
    }
    return [row for n, row in enumerate(cells) if n not in heads]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_exit_codes_are_the_programs() -> None:
    listed = {
        (int(code), name)
        for codes, name, _ in rows(section("cli.md", "Exit codes"))
        for code in codes.split(",")
    }
    assert listed == {(code.value, code.outcome) for code in ExitCode}


def test_the_outcomes_are_the_programs() -> None:
    listed = [words(row[0])[0] for row in rows(section("cli.md", "A run leaves"))]
    assert sorted(listed) == sorted(Outcome)


def test_the_rules_are_those_that_have_codes() -> None:
    listed = [row[0] for row in rows(section("manifest.md", "Rules"))]
    assert listed == sorted(code for code in CODES if code.startswith("R"))


def test_the_sections_of_a_manifest_are_the_schemas() -> None:
    table = {tuple(words(row[0])): row[1] for row in rows(section("manifest.md", "Structure"))}
    assert {name for names in table for name in names} == set(SCHEMA["properties"])
    assert set(words(table["environments",])) == set(SCHEMA["$defs"]["environment"]["properties"])


REPLIES = rows(section("protocol.md", "Reply"))
MEANINGS = {
    "`transferred`": Event.ACCEPTED,
    "next": Event.UNSUITED,
    "waits": Event.LIMITED,
    "`rejected`,": Event.DENIED,
}


@pytest.mark.parametrize(
    "row", [row for row in REPLIES if words(row[0])[:1] and words(row[0])[0] in STATUSES]
)
def test_a_status_means_what_the_table_says(row: list[str]) -> None:
    statuses, _, action = row
    meaning = next(event for start, event in MEANINGS.items() if action.startswith(start))
    for status in words(statuses):
        assert STATUSES[status] is meaning, status


def test_the_table_lists_every_status() -> None:
    listed = {status for row in REPLIES for status in words(row[0])}
    assert set(STATUSES) <= listed


@pytest.mark.parametrize("code", [400, 429, 599])
def test_a_code_that_contradicts_a_carried_out_status_leaves_a_doubt(code: int) -> None:
    assert "A code from 400 to 599 contradicts" in section("protocol.md", "Reply")
    assert classify("transfer_initiated", code) is Event.LOST


@pytest.mark.parametrize("code", [200, 299])
def test_a_code_that_contradicts_a_refusal_leaves_a_doubt(code: int) -> None:
    assert "a code from 200 to 299 contradicts" in section("protocol.md", "Reply")
    assert classify("transfer_rejected", code) is Event.LOST


@pytest.mark.parametrize(
    ("row", "action"),
    [
        (0, CloseAction.RENEW),
        (1, CloseAction.SLOW),
        (2, CloseAction.END),
        (3, CloseAction.DIAL),
    ],
)
def test_a_close_code_calls_for_what_the_table_says(row: int, action: CloseAction) -> None:
    codes, _ = rows(section("protocol.md", "Close codes"))[row]
    for code in re.findall(r"\d{4}", codes):
        reason = "token expired" if "names the token" in codes and code == "1008" else "policy"
        assert action_for(int(code), reason) is action


def test_the_limits_and_defaults_that_the_protocol_names_hold() -> None:
    assert f"up to {LONGEST_OBEYED_S:.0f} s" in section("protocol.md", "Waiting")
    limits = Limits()
    assert limits.rate_per_s is None
    assert f"no rate, burst\n{limits.burst}, {limits.in_flight} in flight" in section(
        "protocol.md", "The shared rate"
    )


def test_the_permissions_of_the_platforms_guide_are_the_programs() -> None:
    guide = (ROOT / "docs" / "genesys-cloud.md").read_text("utf-8")
    head = guide.partition("\n## The first run")[0]
    assert [(action, tuple(words(cell))) for action, cell in rows(head)] == [
        (need.action, need.permissions) for need in NEEDS
    ]


def test_the_time_outs_of_the_platforms_guide_are_the_defaults() -> None:
    guide = (ROOT / "docs" / "genesys-cloud.md").read_text("utf-8")
    assert f"`policy.negotiation_timeout` ({Policy().negotiation_timeout_s:.0f} s)" in guide
    assert f"`policy.outcome_timeout` ({Policy().outcome_timeout_s:.0f} s)" in guide


def test_the_faults_of_the_embedded_platform_are_the_programs() -> None:
    document = (ROOT / "docs" / "embedded-platform.md").read_text("utf-8")
    listed = [fault for row in rows(document) for fault in words(row[0])]
    assert sorted(listed) == sorted(platforms()["genesys-cloud"].faults)
