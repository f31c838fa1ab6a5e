"""What every command shares: streams, log, output format, and the error boundary."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runner.cli.descriptor_limit import ensure_descriptors, too_few
from runner.cli.error_exit_codes import exit_code_of
from runner.console.diagnostics.formats import OutputFormat, without_commands
from runner.console.diagnostics.marked_lines import SourceFiles
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.console.diagnostics.render import problems_text, result_text
from runner.console.live.observer_choice import choose_observers
from runner.console.live.terminal_writer import TerminalWriter
from runner.console.log.setup import configure_logs
from runner.console.output_streams import LossyStream, follows_links, wants_color
from runner.console.results.error_text import render_error
from runner.console.results.run_result import RunResult
from runner.console.terminal_text import folded
from runner.core.diagnostics.problem import Problem
from runner.core.errors import ManifestInvalid, StorageError, UsageError
from runner.core.exit_code import ExitCode, worst
from runner.core.frozen import frozen
from runner.core.system_shortage import shortage

if TYPE_CHECKING:
    from runner.console.log.observers import Observers
    from runner.console.log.setup import LogFormat, Logs

T = TypeVar("T")

FLUSH_S = 1.0
"""How long a prompt, or the end of a run at a second signal, waits for earlier output."""

BLOCKED_S = 5.0
"""How long the end of a command waits for a blocked stderr."""


@frozen
class Console:
    """Writes results to `out`, everything else to `err`."""

    out: LossyStream
    err: LossyStream
    output: OutputFormat = OutputFormat.PRETTY
    log_format: LogFormat = "auto"
    log_file: Path | None = None
    verbosity: int = 0
    progress: bool = True
    max_problems: int = MAX_PROBLEMS

    @contextmanager
    def watching(self) -> Iterator[Observers]:
        """Open the log and an observer while a command runs; close both."""
        with self.logging() as logs, self.outlet(logs.log.warning) as outlet:
            observers = choose_observers(
                self.err,
                logs.log,
                outlet,
                now=time.monotonic,
                wall=time.time,
                environ=os.environ,
                pretty_log=logs.pretty,
                progress=self.progress,
                verbosity=self.verbosity,
            )
            try:
                yield observers
            finally:
                observers.close()

    @contextmanager
    def outlet(self, warn: Callable[..., object] | None = None) -> Iterator[TerminalWriter]:
        """Let a thread write to stderr, so that nothing waits for a blocked terminal.

        `warn` is called with the number of lines that were dropped. The end waits for the thread if
        the result goes to a terminal too, and would wait anyway.
        """

        def missed(texts: int) -> None:
            if warn is not None:
                warn(
                    "output was dropped: the terminal or pipe did not accept it in time",
                    lines=texts,
                )

        outlet = TerminalWriter(self.err, missed, color=wants_color(self.err, os.environ))
        self.err.divert(outlet.write, partial(outlet.flush, FLUSH_S))
        try:
            yield outlet
        finally:
            if not outlet.close(None if self.out.isatty() else BLOCKED_S):
                self.err.lose(TimeoutError("the stream took nothing"))
            self.err.divert(None)

    def show_problems(
        self,
        problems: Sequence[Problem],
        folder: Path,
        *,
        result: bool,
        omitted: Mapping[str, int] | None = None,
    ) -> None:
        """Show problems, if there are any, as the command's result or beside it."""
        if not problems:
            return
        stream = self.out if result and self.output is not OutputFormat.PRETTY else self.err
        stream.write(
            problems_text(
                problems,
                self.output if stream is self.out else OutputFormat.PRETTY,
                SourceFiles(folder),
                color=wants_color(stream, os.environ),
                max_problems=self.max_problems,
                omitted=omitted,
            )
        )

    def show_result(self, result: RunResult, warnings: Sequence[Problem]) -> None:
        """Show the result of a command."""
        color = wants_color(self.out, os.environ)
        width, links = self.out.width(), follows_links(self.out, os.environ)
        self.out.write(
            result_text(
                result, self.output, warnings=warnings, color=color, width=width, links=links
            )
        )

    def log_bug(self, error: BaseException) -> None:
        """Log the traceback of a bug."""
        with suppress(UsageError), self.logging():  # the log file cannot be opened
            logging.getLogger("runner").error("an internal error", exc_info=error)

    def logging(self) -> Logs:
        """Send the log where the options say, until the result is closed. Raises `UsageError`."""
        return configure_logs(
            self.log_format, stream=self.err, verbosity=self.verbosity, file=self.log_file
        )

    def show(
        self,
        render: Callable[..., str],
        to_json: Callable[[T], str],
        value: T,
        **capable: bool,
    ) -> None:
        """Show a command's result: for people, or as JSON with `--output json`.

        `capable` is passed on to `render`: what else the terminal can show.
        """
        if self.output is OutputFormat.JSON:
            self.out.write(to_json(value))
            return
        color, width = wants_color(self.out, os.environ), self.out.width()
        text = render(value, color=color, **capable)
        lines = (row for line in text.splitlines() for row in folded(line, width))
        text = "".join(f"{line}\n" for line in lines)
        self.out.write(without_commands(text) if self.output is OutputFormat.GITHUB else text)

    def show_paths(self, render: Callable[..., str], to_json: Callable[[T], str], value: T) -> None:
        """Show a result that consists of paths: as links, where the terminal follows them."""
        links = self.output is OutputFormat.PRETTY and follows_links(self.out, os.environ)
        self.show(render, to_json, value, links=links)

    def show_error_beside(self, error: BaseException) -> None:
        """Show an error beside a command's result, for people."""
        color, width = wants_color(self.err, os.environ), self.err.width()
        code = exit_code_of(error)
        pretty = OutputFormat.PRETTY
        self.err.write(render_error(error, output=pretty, exit_code=code, color=color, width=width))

    def show_error(self, error: BaseException, code: ExitCode) -> None:
        """Show the error that ended a command."""
        is_for_program = self.output in {OutputFormat.JSON, OutputFormat.GITHUB}
        stream = self.out if is_for_program else self.err
        color = wants_color(stream, os.environ)
        stream.write(
            render_error(
                error,
                output=self.output if is_for_program else OutputFormat.PRETTY,
                exit_code=code,
                color=color,
                width=stream.width(),
            )
        )


@contextmanager
def boundary(console: Console, manifest: Path | None = None) -> Iterator[None]:
    """Turn every way out of a command into its exit code; the only place that does."""
    try:
        ensure_descriptors()
        yield
    except SystemExit:
        raise
    except ManifestInvalid as invalid:
        folder = manifest.parent if manifest is not None else Path()
        console.show_problems(invalid.problems, folder, result=True, omitted=invalid.omitted)
        for each in invalid.also:
            console.show_error_beside(each)
        codes = (exit_code_of(each) for each in invalid.also)
        raise SystemExit(worst([ExitCode.INVALID, *codes])) from invalid
    except BaseException as caught:
        error = shortage(caught) or caught
        error = _as_storage(error) if isinstance(error, OSError) else error
        code = exit_code_of(error)
        if code is ExitCode.BUG:
            console.log_bug(error)
        console.show_error(error, code)
        raise SystemExit(code) from caught


@contextmanager
def must_be_shown(console: Console) -> Iterator[None]:
    """Refuse, inside `boundary`, to end well when a result that is all one asked for got lost.

    A closed pipe is no loss: its reader had enough. What did something, such as `apply`, ends by
    what it did, whether that can be shown or not. Raises `StorageError`.
    """
    try:
        yield
    except SystemExit as ended:
        if ended.code == ExitCode.OK:
            _check_shown(console)
        raise
    _check_shown(console)


def _check_shown(console: Console) -> None:
    lost = console.out.lost
    if lost is not None and not isinstance(lost, BrokenPipeError):
        raise StorageError(f"the result cannot be written to stdout ({lost}): free space there")


def _as_storage(error: OSError) -> Exception:
    """Return an `OSError` as a `StorageError` that says what to do; it is not a bug."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return too_few()
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        where = "" if error.filename is None else f" ({os.fsdecode(error.filename)})"
        return StorageError(
            f"the disk cannot be written to: {error.strerror}{where}; free space there, or in the"
            " folder for temporary files (TMPDIR)"
        )
    if error.filename is None:
        return error
    return StorageError(
        f"{os.fsdecode(error.filename)} cannot be used ({error.strerror}); check that this account"
        " may access it and each folder above it, or name another"
    )
