"""What every command has at hand: the streams, the log, the form of output, the boundary."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runner.cli.descriptor_limit import ensure_descriptors, too_few
from runner.cli.exit_codes import exit_code_of
from runner.console.diagnostics.formats import OutputFormat, without_commands
from runner.console.diagnostics.marked_lines import SourceFiles
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.console.diagnostics.render import problems_text, result_text
from runner.console.results.error_text import render_error
from runner.console.results.run_result import RunResult
from runner.console.streams import LossyStream, wants_color
from runner.console.text import folded
from runner.core.diagnostics.problem import Problem
from runner.core.errors import ManifestInvalid, StorageError, UsageError
from runner.core.transfer.outcome import ExitCode

if TYPE_CHECKING:
    from runner.console.live.terminal_writer import TerminalWriter
    from runner.console.log.observers import Observers
    from runner.console.log.setup import LogFormat, Logs

T = TypeVar("T")

FLUSH_S = 1.0
"""How long a prompt, or the end of a run at a second signal, waits for what was said before it."""

PATIENCE_S = 5.0
"""How long a command's end waits for a stuck stderr."""


@dataclass(frozen=True, slots=True)
class Console:
    """Results go to `out`, everything else to `err`."""

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
        """Give an observer while a command runs, its log going where it should; end both."""
        import structlog  # noqa: PLC0415 - it takes a third of a dry run's start, which logs nothing

        from runner.console.live.observer_choice import watch  # noqa: PLC0415 - as above

        log = structlog.get_logger()
        with self.logging() as logs, self.outlet(log.warning) as outlet:
            observers = watch(
                self.err,
                log,
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
        """Let a thread write what goes to stderr, so that nothing waits for a stuck terminal.

        `warn` is told of what was dropped because nobody took it. At the end it is waited for, where the result goes to a terminal too and would wait anyway.
        """
        from runner.console.live.terminal_writer import TerminalWriter  # noqa: PLC0415 - a dry run does without

        def missed(texts: int) -> None:
            if warn is not None:
                warn("output was dropped: nobody took it in time", lines=texts)

        outlet = TerminalWriter(self.err, missed, color=wants_color(self.err, os.environ))
        self.err.divert(outlet.write, partial(outlet.flush, FLUSH_S))
        try:
            yield outlet
        finally:
            if not outlet.close(None if self.out.isatty() else PATIENCE_S):
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
        """Show problems, if there are any: as the command's result, or beside it."""
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
        """Show how a command ended."""
        color = wants_color(self.out, os.environ)
        width = self.out.width()
        self.out.write(
            result_text(result, self.output, warnings=warnings, color=color, width=width)
        )

    def trace(self, error: BaseException) -> None:
        """Log a bug's trace, wherever in the command it came up."""
        with suppress(UsageError), self.logging():  # a log file that cannot be opened
            logging.getLogger("runner").error("an internal error", exc_info=error)

    def logging(self) -> Logs:
        """Send the log where the options ask for it, until this is closed. Raises `UsageError`."""
        from runner.console.log.setup import configure_logs  # noqa: PLC0415 - it brings structlog

        return configure_logs(
            self.log_format, stream=self.err, verbosity=self.verbosity, file=self.log_file
        )

    def show(self, render: Callable[..., str], to_json: Callable[[T], str], told: T) -> None:
        """Show what a command has to tell: for people, or as JSON where that was asked for."""
        if self.output is OutputFormat.JSON:
            self.out.write(to_json(told))
            return
        text, width = render(told, color=wants_color(self.out, os.environ)), self.out.width()
        lines = (row for line in text.splitlines() for row in folded(line, width))
        text = "".join(f"{line}\n" for line in lines)
        self.out.write(without_commands(text) if self.output is OutputFormat.GITHUB else text)

    def show_error(self, error: BaseException, code: ExitCode) -> None:
        """Show what ended a command."""
        for_program = self.output in {OutputFormat.JSON, OutputFormat.GITHUB}
        stream = self.out if for_program else self.err
        color = wants_color(stream, os.environ)
        stream.write(
            render_error(
                error,
                output=self.output if for_program else OutputFormat.PRETTY,
                exit_code=code,
                color=color,
                width=stream.width(),
            )
        )


@contextmanager
def boundary(console: Console, manifest: Path | None = None) -> Iterator[None]:
    """Turn every way out of a command into its exit code; the one place that does."""
    try:
        ensure_descriptors()
        yield
    except SystemExit:
        raise
    except ManifestInvalid as invalid:
        folder = manifest.parent if manifest is not None else Path()
        console.show_problems(invalid.problems, folder, result=True, omitted=invalid.omitted)
        raise SystemExit(ExitCode.INVALID) from invalid
    except BaseException as caught:
        error = _as_storage(caught) if isinstance(caught, OSError) else caught
        code = exit_code_of(error)
        if code is ExitCode.BUG:
            console.trace(error)
        console.show_error(error, code)
        raise SystemExit(code) from caught


def _as_storage(error: OSError) -> Exception:
    """Return what a file that cannot be reached is to a person: storage to mend, not a bug."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return too_few()
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        where = "" if error.filename is None else f" ({os.fsdecode(error.filename)})"
        return StorageError(
            f"the disk takes nothing more: {error.strerror}{where}; free space there, or in the"
            " folder for temporary files (TMPDIR)"
        )
    if error.filename is None:
        return error
    return StorageError(
        f"{os.fsdecode(error.filename)} cannot be used ({error.strerror}); see that this account"
        " may reach it and each folder above it, or name another"
    )
