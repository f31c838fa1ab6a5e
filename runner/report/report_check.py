"""Compares a report.json with the record and the outcomes that its run's journal, or audit log, has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from runner.core.exit_code import ExitCode
from runner.core.records.chained_record import RUN_BEGUN, RUN_ENDED
from runner.core.records.run_record import IDENTITY, UNFINISHED, RunRecord, TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import OUTCOMES, State
from runner.report.formats.json_document import run_json

_TOLD_LATER = frozenset({"notifications"})
"""Of `run`: what became of messages about its end, which the journal does not keep."""

_OF_THE_END = frozenset({
    "finished_at", "outcome", "exit_code", "explanation", "windows", "duration_s",
})  # fmt: skip
"""Of `run`: what only the report has where a run lost its journal."""

_LOST_JOURNAL = frozenset({ExitCode.STORAGE.outcome, ExitCode.LOCKED.outcome})


class Segment:
    """What a run's events say of it: its record, and the last outcome of each transfer."""

    def __init__(self) -> None:
        self.record: Mapping[str, Any] | None = None
        self.outcomes: dict[str, Outcome] = {}  # by key

    def note(self, body: str) -> None:
        """Take up an event; one that is damaged breaks the chain, and says nothing here."""
        try:
            event = json.loads(body)
            if event["event"] in {RUN_BEGUN, RUN_ENDED}:
                self.record = event["record"]
            elif "state" in event:
                self.outcomes[event["key"]] = OUTCOMES[State(event["state"])]
        except (ValueError, TypeError, KeyError, RecursionError):
            return


def report_fault(
    document: Mapping[str, Any], segment: Segment, transfers: Iterable[TransferRecord] | None
) -> str | None:
    """Return in what a report.json is not what its run was, for people; None: in nothing.

    `transfers` are the run's in the journal, as they are now; None: there is only the audit log. What
    was in doubt when the report was written may be settled since.
    """
    try:
        return next(_differences(document, segment, transfers), None)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        return f"it is not what a run writes ({type(error).__name__})"


def _differences(
    document: Mapping[str, Any], segment: Segment, transfers: Iterable[TransferRecord] | None
) -> Iterator[str]:
    if segment.record is not None:
        yield from _of_record(document["run"], RunRecord.from_json(segment.record))
    counted = Counter(each["outcome"] for each in document["transfers"])
    for outcome in Outcome:
        if (told := document["summary"][outcome.value]) != counted[outcome.value]:
            yield (
                f"its summary has {told} {outcome.words}, and its list of transfers"
                f" {counted[outcome.value]}"
            )
    if transfers is None:
        for each in document["transfers"]:
            yield from _of_log(each, segment.outcomes.get(each["key"]))
        return
    for listed, now in zip_longest(document["transfers"], transfers):
        if listed is None or now is None:
            key = now.key if listed is None else listed["key"]
            yield f"it {'lacks' if listed is None else 'invents'} the transfer {key}"
            return
        yield from _of_journal(listed, now, segment.outcomes.get(now.key))


def _of_record(told: Mapping[str, Any], record: RunRecord) -> Iterator[str]:
    expected = json.loads(json.dumps(run_json(record)))
    passed_over = _TOLD_LATER
    if record.outcome == UNFINISHED and told["outcome"] in _LOST_JOURNAL:
        passed_over |= _OF_THE_END
    for name in sorted(told.keys() | expected.keys()):
        if name not in passed_over and told.get(name) != expected.get(name):
            here, there = json.dumps(told.get(name)), json.dumps(expected.get(name))
            yield f"its run.{name} is {here}, and {there} in the chain"


def _of_log(listed: Mapping[str, Any], then: Outcome | None) -> Iterator[str]:
    if then is None or then is Outcome.IN_DOUBT or not then.was_begun:
        return  # it may have got another outcome since
    if listed["outcome"] not in {then, Outcome.TRANSFERRED}:
        yield _other_outcome(listed, str(then))


def _of_journal(
    listed: Mapping[str, Any], now: TransferRecord, then: Outcome | None
) -> Iterator[str]:
    for name in IDENTITY:
        if listed[name] != getattr(now, name):
            yield f"its transfer {now.key} has another {name} than the journal"
    if listed["outcome"] not in {now.outcome, Outcome.IN_DOUBT if then is None else then}:
        yield _other_outcome(listed, str(now.outcome))


def _other_outcome(listed: Mapping[str, Any], outcome: str) -> str:
    return f"its transfer {listed['key']} is {listed['outcome']}, and {outcome} by its events"
