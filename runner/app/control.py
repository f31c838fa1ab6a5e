"""`control`: gives a command to a running batch."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from runner.app.find_journal import JournalOptions
from runner.app.status import holder_runs
from runner.core import next_steps
from runner.core.control import CommandName, parse_command
from runner.core.errors import NotRunning, RunnerError, UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.next_steps import shell_line
from runner.core.number_text import counted
from runner.core.transfer.message import NOTE_LIMIT, harmless
from runner.journals import every_journal, journal_at, place_of_journals
from runner.ports.control import ControlAnswer, ControlRequest
from runner.ports.history import LATEST
from runner.ports.journal_access import Holder, JournalAccess

FOR_ALL = frozenset({CommandName.PAUSE, CommandName.STOP})
"""Commands that may be given to all runs at once."""


@frozen
class GivenCommand:
    """A command as it was typed."""

    run: str | None
    command: str
    value: str | None = None
    for_: str | None = None
    reason: str | None = None

    def check(self) -> None:
        """Raise `UsageError` for a command that no run would understand."""
        try:
            parse_command(self.command, self.value, self.for_, self._reason)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def request(self) -> ControlRequest:
        """Return the request, with an id of its own."""
        return ControlRequest(uuid.uuid4().hex, self.command, self.value, self.for_, self._reason)

    @property
    def _reason(self) -> str | None:
        """The reason on one line, what does not print escaped: a pasted space stops no brake."""
        if self.reason is None:
            return None
        line = " ".join(self.reason.split())
        return harmless(line, max(NOTE_LIMIT, 10 * len(line)))


@frozen
class Controlled:
    """The answer of one run, or why it gave none."""

    run: str
    journal: str
    answer: ControlAnswer | None = None
    error: RunnerError | None = None


def parse_words(words: Sequence[str], for_: str | None, reason: str | None) -> GivenCommand:
    """Return `[RUN] COMMAND [VALUE]` as a command. Raises `UsageError`."""
    is_command = words[0].replace("_", "-") in set(CommandName)
    run, rest = (None, words) if is_command else (words[0], words[1:])
    if not rest:
        names = ", ".join(CommandName)
        raise UsageError(
            f"{words[0]!r} is none of the commands: {names}; a run's id needs one after it"
        )
    if len(rest) > 2:  # noqa: PLR2004 - a command and its value
        raise UsageError(
            "write a command, after the run's id if it is not the latest:"
            " `runner control pause`, `runner control RUN rate 10/s`"
        )
    given = GivenCommand(run, rest[0], rest[1] if len(rest) > 1 else None, for_, reason)
    given.check()
    return given


def control(location: JournalLocation, given: GivenCommand) -> Controlled:
    """Give a command to the run of a journal; return its answer.

    Raises `UsageError` for an unknown run, `NotRunning` for one that cannot be asked, `StorageError`
    if the journal cannot be read.
    """
    journal = journal_at(location)
    run, holder = _running(journal, given.run)
    answer = journal.control_client(holder).ask(given.request())
    return Controlled(run, journal.address, answer)


def control_all(where: JournalOptions, given: GivenCommand) -> Iterator[Controlled]:
    """Give a command to every run of a named journal, or with a journal beside a manifest.

    Without either it is those in the current folder. Raises `UsageError` for a command that is not for all, `NotRunning` if nothing is running.
    """
    if given.command not in FOR_ALL or given.run is not None:
        raise UsageError("--all is for `pause` and `stop` alone, without a run's id")
    found, journals = False, every_journal(where.journal, where.manifest)
    for location in journals:
        journal = journal_at(location)
        if journal.holder() is None:
            continue
        found = True
        try:
            yield control(journal.location, given)
        except RunnerError as error:
            yield Controlled(LATEST, journal.address, error=error)
    if not found:
        raise NotRunning(
            f"no run is going on; looked at {counted(len(journals), 'journal')} in"
            f" {place_of_journals(where.journal, where.manifest)}; name another folder's with"
            " --manifest, or a database with --journal"
        )


def _running(journal: JournalAccess, run_id: str | None) -> tuple[str, Holder]:
    """Return the id of the run that is going on, and who runs it.

    Raises `UsageError` for an unknown run, `NotRunning` for one that has ended.
    """
    with journal.open_history() as history:
        asked = history.run(run_id or LATEST)
        newest = history.run(LATEST)
        holder = journal.holder()
    record = asked.record
    if asked.finished:
        raise NotRunning(
            f"run {record.id} is not running: it ended as {record.outcome} at {record.finished_at}"
        )
    if asked.no != newest.no or not holder_runs(holder, record):
        how = shell_line(next_steps.status(str(journal.location), record.id))
        raise NotRunning(
            f"run {record.id} is not running: it died without an end, and what it had in flight is"
            f" in doubt; how to go on: {how}"
        )
    assert holder is not None  # noqa: S101 - it runs the newest run
    return record.id, holder
