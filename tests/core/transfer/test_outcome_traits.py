"""What follows from each outcome (runner/core/transfer/outcome.py)."""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.transfer.outcome import BY_URGENCY, Outcome, Tone, outcome_named, outcome_words
from runner.core.transfer.states import NOT_BEGUN

RUNNER = Path(__file__).parents[3] / "runner"
LISTING = re.compile(r"(Outcome\.[A-Z_]+[,:][^\n]*\n\s*){4}")
SPELLED = re.compile(r"\b(?:rejected|in_doubt|unattempted)\b")


def test_each_outcome_has_a_rank_of_its_own_and_doubt_comes_first():
    assert sorted(outcome.rank for outcome in Outcome) == list(range(len(Outcome)))
    assert BY_URGENCY[0] is Outcome.IN_DOUBT


def test_an_outcome_without_anything_left_to_do_has_no_advice():
    for outcome in Outcome:
        assert (outcome.advice is None) is outcome.is_done, outcome
        assert not (outcome.is_done and outcome.needs_attention), outcome


def test_a_failure_is_shown_as_bad_and_has_a_reason():
    for outcome in Outcome:
        assert outcome.is_failure is (outcome.tone is Tone.BAD), outcome
        assert outcome.needs_reason or outcome.is_done, outcome


def test_an_outcome_is_found_by_its_spelling_and_any_other_name_is_kept():
    assert [outcome_named(outcome.value) for outcome in Outcome] == list(Outcome)
    assert outcome_named("gone_missing") is None
    assert [outcome_words("in_doubt"), outcome_words("gone_missing")] == [
        "in doubt",
        "gone missing",
    ]


def test_no_other_module_and_no_template_lists_the_outcomes():
    """The journal's state machine maps states to outcomes, and is the one exception."""
    allowed = {"core/transfer/outcome.py", "core/transfer/states.py"}
    modules = {path.relative_to(RUNNER).as_posix(): path for path in RUNNER.rglob("*.py")}
    listing = {name for name, path in modules.items() if LISTING.search(path.read_text("utf-8"))}
    assert listing <= allowed
    pages = [path for suffix in ("js", "css", "j2") for path in RUNNER.rglob(f"*.{suffix}")]
    assert pages
    assert [path.name for path in pages if SPELLED.search(path.read_text("utf-8"))] == []


def test_what_was_not_begun_is_what_a_run_reports_of_a_transfer_that_waits():
    assert [outcome for outcome in Outcome if not outcome.was_begun] == [NOT_BEGUN]
    assert not NOT_BEGUN.calls_back
