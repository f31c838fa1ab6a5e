"""The transfers as JUnit XML, so that a build server shows a batch as it shows tests.

Only what the schemas of Jenkins know is written, for others are more lenient: a transfer's line in
the manifest therefore stands in the text of its failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

from runner.core.records.run_record import TransferRecord
from runner.core.records.summary import Summary
from runner.core.transfer.outcome import Outcome
from runner.report.model import Content

BEGINNING = re.compile(
    r'<\?xml version="1\.0" encoding="UTF-8"\?>\n'
    r'<testsuites tests="\d+" failures="\d+" errors="\d+">\n<testsuite name="'
)
"""How each such file begins."""

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold, not even escaped (section 2.2, all but `Char`)."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_FOLDED = str.maketrans({"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})
"""What an XML attribute would turn into spaces (section 3.3.3)."""


def render_junit(content: Content, write: Callable[[str], object]) -> None:
    """Write one test suite: the batch; one test case: a transfer."""
    run, figures = content.source.run, _counts(content.summary)
    suite = {"name": run.batch, "timestamp": run.started_at, "hostname": run.host, "id": run.id}
    write('<?xml version="1.0" encoding="UTF-8"?>\n')
    if run.duration_s is not None:  # without it, readers add up the cases', which overlap
        suite["time"] = f"{run.duration_s:.3f}"
    everything = {name: value for name, value in figures.items() if name != "skipped"}
    write(f"<testsuites{_attributes(everything)}>\n<testsuite{_attributes(suite | figures)}>\n")
    for transfer in content.source.transfers():
        _write_case(transfer, run.batch, write)
    said = [*([] if run.explanation is None else [run.explanation]), *run.caveats]
    if said:
        write(f"<system-out>{escape(legal('; '.join(said)))}</system-out>\n")
    write("</testsuite>\n</testsuites>\n")


def legal(text: str) -> str:
    """Return `text` with U+FFFD for each character that XML 1.0 cannot hold."""
    return _ILLEGAL.sub(_REPLACEMENT, text)


def _counts(summary: Summary) -> dict[str, str]:
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for outcome, number in summary.counts.items():
        if (element := _element(outcome)) is not None:
            counts[element] += number
    return {
        "tests": str(summary.total),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }


def _element(outcome: Outcome) -> str | None:
    """Return the element of a test case that an outcome makes; None: the test passed."""
    if outcome in {Outcome.TRANSFERRED, Outcome.UNCHANGED}:
        return None  # where it should be, by this run or an earlier one
    if outcome is Outcome.IN_DOUBT:
        return "error"
    return "failure" if outcome.is_failure else "skipped"


def _write_case(transfer: TransferRecord, batch: str, write: Callable[[str], object]) -> None:
    case = {"name": transfer.key, "classname": batch}
    if transfer.latency_ms is not None:
        case["time"] = f"{transfer.latency_ms / 1000:.3f}"
    element = _element(transfer.outcome)
    if element is None:
        write(f"<testcase{_attributes(case)}/>\n")
        return
    fault = {"message": transfer.reason or transfer.outcome.value}
    if element != "skipped":
        fault["type"] = transfer.outcome.value
    moved = f"{transfer.interaction_id} to {transfer.destination_uri}"
    text = f"{transfer.source}: {moved}: {transfer.outcome.value}"
    write(
        f"<testcase{_attributes(case)}><{element}{_attributes(fault)}>"
        f"{escape(legal(text))}</{element}></testcase>\n"
    )


def _attributes(values: dict[str, str]) -> str:
    escaped = {name: escape(legal(value)).translate(_FOLDED) for name, value in values.items()}
    return "".join(f' {name}="{value}"' for name, value in escaped.items())
