"""Columns that resemble one which says whom to move, or where to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.manifest.builders import write
from tests.manifest.rendering import load_rows, rendered

SHARED = "destination_uri: 'genesys://queue/shared'"


def found(folder: Path, text: str, more: str = SHARED) -> str:
    form = "jsonl" if text.startswith("{") else "csv"
    path = write(folder, f"  - {{from: r.{form}, {more}}}\n", **{f"r__{form}": text})
    return rendered(load_rows(path)[0].problems)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Destination_URI", "destination_uri"),
        ("destinationUri", "destination_uri"),
        ("destination-uri", "destination_uri"),
        ("destinaton_uri", "destination_uri"),
        ("Expected_Destination_URI", "expected_destination_uri"),
        ("expected_destination", "expected_destination_uri"),
    ],
)
@pytest.mark.parametrize(
    "text", ["interaction_id,{}\na,sip:a@b\n", '{{"interaction_id": "a", "{}": "sip:a@b"}}\n']
)
def test_a_destination_is_not_ignored_for_its_spelling(
    tmp_path: Path, text: str, name: str, meant: str
):
    """Else every row would go to the shared one."""
    told = found(tmp_path, text.format(name))
    assert f"error[R009] `{name}` is not read, but its name resembles `{meant}`" in told
    assert f"`columns: {{{meant}: {name}}}`" in told


def test_a_destination_is_not_ignored_in_some_rows(tmp_path: Path):
    rows = [
        '{"interaction_id": "a", "destination_uri": "sip:a@b", "destinaton_uri": "sip:c@d"}\n',
        '{"interaction_id": "b", "destinaton_uri": "sip:c@d"}\n',
        '{"interaction_id": "c", "destinaton_uri": "sip:c@d"}\n',
    ]
    told = found(tmp_path, "".join(rows))
    assert told.count("error[R009]") == 1
    assert "r.jsonl:2:25" in told


@pytest.mark.parametrize(
    ("first", "second"),
    [("destination_uri", "Destination_URI"), ("interaction_id", "Interaction ID")],
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_of_two_spellings_the_manifest_must_say_which_is_read(
    tmp_path: Path, first: str, second: str, form: str
):
    values = {"interaction_id": "a", "destination_uri": "sip:a@b", second: "sip:c@d"}
    text = json.dumps(values) + "\n"
    if form == "csv":
        text = f"{','.join(values)}\n{','.join(values.values())}\n"
    told = found(tmp_path, text)
    assert f"error[R009] `{second}` and `{first}` differ in spelling only" in told
    assert f"`columns: {{{first}: {first}}}`" in told
    assert found(tmp_path, text, f"columns: {{{first}: {first}}}") == ""


def test_a_destination_under_its_own_name_is_not_ignored_where_columns_has_another(
    tmp_path: Path,
):
    rows = [
        '{"interaction_id": "a", "target": "sip:a@b"}\n',
        '{"interaction_id": "b", "destination_uri": "sip:c@d"}\n',
    ]
    told = found(tmp_path, "".join(rows), f"columns: {{destination_uri: target}}, {SHARED}")
    assert "error[R009] `destination_uri` is not read: `columns` reads it from `target`" in told
    both = '{"interaction_id": "a", "target": "sip:a@b", "destination_uri": "sip:c@d"}\n'
    assert found(tmp_path, both, "columns: {destination_uri: target}") == ""


@pytest.mark.parametrize("name", ["Keys", "destination", "uri", "note", "interaction_time"])
def test_what_resembles_no_such_column_closely_may_stand_there(tmp_path: Path, name: str):
    told = found(tmp_path, f"interaction_id,{name}\na,b\n")
    assert "error" not in told
