"""How rows and decisions are kept in tables and plan files (runner/core/records/row_codec.py)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from runner.core.manifest.media import Audio, MediaMatrix, Video
from runner.core.records.row_codec import (
    DECISION,
    LADDER,
    PLANNED_ROW,
    ROW,
    RowCodec,
    read_ladder,
    write_ladder,
)
from runner.core.transfer.lookup_verdict import FoundAt
from runner.core.transfer.plan_decision import Action, Decision
from runner.core.transfer.reasons import Code, Earlier
from runner.core.transfer.rows import PlannedRow, TransferRow

MEDIA = (MediaMatrix(Audio("opus", 64, 16), Video("h264", 900, "640x480", 30)),)
FOUND = FoundAt("genesys://queue/old", "Billing", "p-1")
FULL = TransferRow("k", "i", "genesys://queue/q", MEDIA, ("crm", "log"), "m.csv:7", FOUND)
BARE = TransferRow("k", "i", "genesys://queue/q", MEDIA, (), "m.csv:7")


def stored(codec: RowCodec[PlannedRow], row: PlannedRow) -> list[object]:
    """Return a row's values as a query gives them: with the ladder's text in its place."""
    values = codec.write(row, 1)
    values[codec.columns.index(LADDER)] = write_ladder(row.media)
    return values


@pytest.mark.parametrize("row", [FULL, BARE], ids=["full", "bare"])
def test_a_planned_row_is_read_as_it_was_written(row: TransferRow):
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    planned = PlannedRow(**values, n=3, lineage=9, was_elsewhere=True, failed_as="")
    assert PLANNED_ROW.read(stored(PLANNED_ROW, planned)) == planned


@pytest.mark.parametrize("row", [FULL, BARE], ids=["full", "bare"])
def test_a_row_is_read_from_its_json(row: TransferRow):
    assert ROW.from_json(ROW.to_json(row)) == row


def test_the_values_are_those_that_journals_of_earlier_versions_hold():
    assert dict(zip(ROW.columns, ROW.write(FULL, 5), strict=True)) == {
        "key": "k",
        "interaction_id": "i",
        "destination_uri": "genesys://queue/q",
        "ladder": 5,
        "callbacks": '["crm", "log"]',
        "source": "m.csv:7",
        "found_at": '{"destination_uri": "genesys://queue/old", "name": "Billing",'
        ' "participant_id": "p-1"}',
        "expected_destination_uri": None,
    }
    assert write_ladder(MEDIA[:1]) == (
        '[{"audio":{"codec":"opus","bandwidth_kbps":64,"bit_depth":16},'
        '"video":{"codec":"h264","resolution":"640x480","fps":30,"bandwidth_kbps":900}}]'
    )
    assert read_ladder(write_ladder(MEDIA)) == MEDIA


def test_every_field_of_a_decision_is_kept():
    decision = Decision(
        Action.IN_DOUBT,
        "why",
        4,
        5,
        Code.HELD,
        Earlier("r", "b", "k"),
        left_out=True,
        failed_as="rejected",
    )
    assert DECISION.read(DECISION.write(decision)) == decision
    assert DECISION.read(DECISION.write(Decision(Action.SEND))) == Decision(Action.SEND)


def test_a_query_may_take_a_field_from_elsewhere():
    asked = ROW.expressions("r", instead={"source": "'x'"})
    assert (
        asked
        == "r.key, r.interaction_id, r.destination_uri, media, r.callbacks, 'x', r.found_at, r.expected_destination_uri"
    )


def test_a_field_whose_type_has_no_form_is_refused_at_once():
    with pytest.raises(TypeError, match="no form in a table"):
        RowCodec(_Unknown)


@dataclass(frozen=True)
class _Unknown:
    """A row with a field of a foreign type."""

    key: str
    rest: object


def test_many_rows_are_written_as_each_of_them():
    columns = {field.name: [getattr(FULL, field.name)] * 2 for field in fields(FULL)}
    written = {name: list(column) for name, column in ROW.write_all(columns).items()}
    one = dict(zip(ROW.columns, ROW.write(FULL, 5), strict=True))
    assert written == {name: [value] * 2 for name, value in one.items() if name != LADDER}
