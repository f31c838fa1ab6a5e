"""Builds every command that this program offers (cli.md, "Next steps").

People paste them at night, perhaps into another terminal. So each command is complete: it repeats
what the run was given, by option or by variable, and is quoted for a shell. It works in the folder
in which the run was started.

`--again`, `--new-history` and `--yes` are never repeated: each is a decision for one run. A pasted
command must neither move anybody a second time nor begin another journal.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from runner.core.records.run_record import RunRecord

PROGRAM = "runner"
REPORT_DIR = "reports"

SEEN = {
    "transferred": "looked up at the gateway: it was carried out",
    "failed": "looked up at the gateway: it was not carried out",
}
"""Reasons for `resolve`, by the word; a person writes better ones."""


@dataclass(frozen=True, slots=True)
class Step:
    """One next step, and the arguments of its command; none: no command."""

    text: str
    argv: tuple[str, ...] = ()

    @property
    def command(self) -> str | None:
        """The command, ready to be pasted into a shell."""
        return spelt(self.argv) if self.argv else None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the text, the command as a shell line and as arguments."""
        return {"text": self.text, "command": self.command, "argv": list(self.argv)}


@dataclass(frozen=True, slots=True)
class Given:
    """The options of a run; paths are relative to `folder`. None: not given."""

    manifest: str
    environment: str  # the one that was chosen
    env: str | None = None  # as `--env` gave it
    plan: str | None = None  # the plan file that is applied instead of the manifest
    journal: str | None = None
    report_dir: str = REPORT_DIR
    only: tuple[str, ...] = ()
    limit: int | None = None
    rate_per_s: float | None = None
    in_flight: int | None = None
    max_failures: str | None = None
    again: bool = False
    ignore_window: bool = False  # of a rehearsal; elsewhere it is refused
    folder: str | None = None  # in which the run was started; None: an earlier version's record

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """Return the options in a run's record."""
        options: Mapping[str, Any] = run.options
        max_failures = options.get("max_failures")
        return cls(
            manifest=run.manifest_path,
            environment=run.environment,
            env=options.get("environment"),
            plan=options.get("plan") or options.get("out"),
            journal=options.get("journal"),
            report_dir=options.get("report_dir", REPORT_DIR),
            only=tuple(options.get("only", ())),
            limit=options.get("limit"),
            rate_per_s=options.get("rate_per_s"),
            in_flight=options.get("in_flight"),
            max_failures=None if max_failures is None else str(max_failures),
            again=bool(options.get("again")),
            ignore_window=bool(options.get("ignore_window")),
            folder=options.get("folder"),
        )

    @property
    def journal_path(self) -> str:
        """The journal's path, given or by default."""
        return self.journal or journal_beside(self.manifest, self.environment)

    def at(self, journal: str) -> Self:
        """Return a copy with the journal at `journal`."""
        return replace(self, journal=journal)


def journal_beside(manifest: str, environment: str) -> str:
    """Return the default path of a manifest's journal."""
    folder, slash, _ = manifest.rpartition("/")
    return f"{folder}{slash}.runner/{environment}.db"


def spelt(argv: Sequence[str]) -> str:
    """Return a command as a shell line, with words quoted where a shell needs it."""
    return " ".join(map(_quoted, argv))


def apply(given: Given) -> tuple[str, ...]:
    """Return the command that applies again with the options of a run."""
    return _command(("apply",), (given.plan or given.manifest,), _of_batch(given))


def plan(given: Given, *, out: str | None = None, preflight: bool = False) -> tuple[str, ...]:
    """Return the command that plans; `--again` is safe here, because a plan moves nobody."""
    flags = [*(["--again"] if given.again else []), *(["--preflight"] if preflight else [])]
    options = (*_of_batch(given), *flags, *_options(("--out", out)))
    return _command(("plan",), (given.manifest,), options)


def doctor(given: Given) -> tuple[str, ...]:
    """Return the command that connects as a run would, read-only."""
    return _command(("doctor",), (given.manifest,), _options(("--env", given.env)))


def status(journal: str | None = None, run: str | None = None) -> tuple[str, ...]:
    """Return the command that shows a journal's runs, or one run with what is in doubt."""
    return _command(("status",), () if run is None else (run,), _options(("--journal", journal)))


def resolve(journal: str, run: str, key: str, word: str) -> tuple[str, ...]:
    """Return the command that settles a doubt by a person's `word`: transferred or failed."""
    options = _options(("--journal", journal), ("--as", word), ("--reason", SEEN[word]))
    return _command(("resolve",), (run, key), options)


def render(journal: str, run: str, report_dir: str | None = None) -> tuple[str, ...]:
    """Return the command that renders a run's report again; None: where the run left it."""
    options = _options(("--journal", journal), ("--report-dir", report_dir))
    return _command(("report",), (run,), options)


def verify_run(given: Given, run: str) -> tuple[str, ...]:
    """Return the command that checks a run's audit chain in the journal."""
    report_dir = ("--report-dir", _other(given.report_dir))
    options = _options(("--journal", given.journal_path), report_dir)
    return _command(("audit", "verify"), (run,), options)


def verify_file(path: str) -> tuple[str, ...]:
    """Return the command that checks a file's audit chain."""
    return _command(("audit", "verify"), (path,), ())


def first_steps(manifest: str) -> tuple[Step, ...]:
    """Return what to do with a manifest that was just written."""
    return (
        Step("check it", _command(("apply",), (manifest,), ("--validate-only",))),
        Step("rehearse it", _command(("apply",), (manifest,), ())),
    )


def settle(journal: str, run: str, key: str) -> tuple[Step, ...]:
    """Return how a person settles a doubt: one step for each thing that they may have seen."""
    return (
        Step("it was carried out", resolve(journal, run, key, "transferred")),
        Step("it was not carried out", resolve(journal, run, key, "failed")),
    )


def _of_batch(given: Given) -> tuple[str, ...]:
    rate = None if given.rate_per_s is None else _rate(given.rate_per_s)
    return (
        *_options(
            ("--env", given.env),
            *(("--only", glob) for glob in given.only),
            ("--limit", given.limit),
            ("--rate", rate),
            ("--in-flight", given.in_flight),
            ("--max-failures", given.max_failures),
            ("--report-dir", _other(given.report_dir)),
            ("--journal", given.journal),
        ),
        *(("--ignore-window",) if given.ignore_window else ()),
    )


def _options(*given: tuple[str, str | int | None]) -> tuple[str, ...]:
    """Return options with their values; what was not given is left out."""
    return tuple(word for name, value in given if value is not None for word in (name, str(value)))


def _other(report_dir: str) -> str | None:
    return None if report_dir == REPORT_DIR else report_dir


def _rate(rate_per_s: float) -> str:
    """Return a rate as `--rate` reads it: `10/s`, `30/min`."""
    a_minute = round(rate_per_s * 60, 6)
    if rate_per_s < 1 and a_minute == int(a_minute):
        return f"{int(a_minute)}/min"
    return f"{rate_per_s:.9f}".rstrip("0").rstrip(".") + "/s"


def _command(
    name: tuple[str, ...], operands: tuple[str, ...], options: tuple[str, ...]
) -> tuple[str, ...]:
    """Put a command together: what is no option and begins like one goes behind `--`."""
    if any(word.startswith("-") for word in operands):
        return (PROGRAM, *name, *options, "--", *operands)
    return (PROGRAM, *name, *operands, *options)


def _quoted(word: str) -> str:
    r"""Return a word as a shell reads it back; what does not print as `$'\x1b'`.

    Such a character would move the terminal's cursor, or end the line in the middle of a command.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
