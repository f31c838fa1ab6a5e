"""A run's result, to the letter: the verdict first, then why, then what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import pytest

from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.marked_lines import SourceFiles
from runner.console.diagnostics.render import problems_text, result_text
from runner.console.results.run_result import Group, RunResult, result_to_json
from runner.console.results.run_text import render_result, result_to_github, verdict
from runner.core.batch_options import BatchOptions
from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.core.exit_code import ExitCode
from runner.core.journal_location import JournalLocation
from runner.core.next_steps import RunArguments, Step
from runner.core.records.batch_progress import BatchProgress
from runner.core.records.run_record import Figures, PlanFigures, WindowRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import PlannedMove

T, R, F, S, D, U, E = Outcome


def result(
    exit_code: ExitCode, counts: Mapping[Outcome, int] | None = None, **changes: Any
) -> RunResult:
    given = RunArguments(
        "billing.yaml",
        "production",
        BatchOptions(environment="production", journal=JournalLocation("the journal.db")),
    )
    fields = {"run_id": "20261201T210000Z-1", "duration_s": 62.0, "given": given, **changes}
    return RunResult("billing", "production", exit_code, counts=counts or {}, **fields)


def text(source: str) -> str:
    return dedent(source).removeprefix("\n")


def test_a_run_with_doubts_says_who_must_look_and_how():
    ended = result(
        ExitCode.IN_DOUBT,
        {T: 1180, R: 18, F: 1, D: 3, U: 4},
        groups=[
            Group(R, "destination_unreachable\x1b", 18, ["a.yaml:41", "a.yaml:42", "a.yaml:43"]),
            Group(F, None, 1, ["a.yaml:9"]),
            Group(D, "session lost", 3, ["a.yaml:4"]),
            Group(T, "codec_negotiated", 1180),
        ],
        not_selected=4,
        doubt_key="k 4",
        report="reports/billing/20261201T210000Z-1/report.html",
    )

    assert render_result(ended) == text("""
        in doubt: 3 of 1,206 transfers may or may not have been carried out
          batch billing, environment production, run 20261201T210000Z-1, duration 1 min 02 s

          transferred    1,180
          rejected          18
          failed             1
          in doubt           3
          not attempted      4

        reasons
           3 in doubt: session lost
               a.yaml:4 and 2 more
           1 failed: no reason given
               a.yaml:9
          18 rejected: destination_unreachable\\x1b
               a.yaml:41, a.yaml:42, a.yaml:43 and 15 more

        what to do next
          in doubt: each may have been carried out or not; none is sent again blindly
            1. apply again: it looks each one up, and settles those that show evidence
               runner apply billing.yaml --env production --journal 'the journal.db'
            2. look up the others at the gateway, by the ids that this command lists
               runner status 20261201T210000Z-1 --journal 'the journal.db'
            3. state what you saw, for each one
               it was carried out:
                 runner resolve 20261201T210000Z-1 'k 4' --journal 'the journal.db' --as transferred --reason 'looked up at the gateway: it was carried out'
               it was not carried out:
                 runner resolve 20261201T210000Z-1 'k 4' --journal 'the journal.db' --as failed --reason 'looked up at the gateway: it was not carried out'
          failed: all retries were used up and nothing was moved: check that the
            gateway works, then apply again
          rejected: the gateway refused these and moved nothing: fix what the reasons
            name, then apply again; only what is not done is sent

        report: reports/billing/20261201T210000Z-1/report.html
        """)


def test_a_later_run_says_what_it_added_to_its_batch():
    made = BatchProgress("20261130T210000Z-1\x1b", "2026-11-30T21:00:00Z", 2, 9, transferred=4)
    ended = result(ExitCode.OK, {T: 4, E: 5}, progress=made)

    assert render_result(ended) == text("""
        ok: all 9 transfers done
          batch billing, environment production, run 20261201T210000Z-1, duration 1 min 02 s

          transferred  4
          unchanged    5

          since run 20261130T210000Z-1\\x1b (2026-11-30 21:00:00 UTC): 4 newly transferred
          so far 9 interactions moved in 2 runs; 9 of this manifest's 9 are done
        """)
    document = json.loads(result_to_json(ended))
    assert document["progress"]["transferred"] == 4
    assert "progress" not in json.loads(result_to_json(result(ExitCode.OK, {T: 4})))


def test_reasons_that_differ_late_stay_different_and_the_report_is_a_link():
    long = "the gateway said a great deal that is always the same and then names " * 2
    groups = [Group(R, f"{long}queue {name}", 2, ["a.yaml:1"]) for name in ("billing", "support")]
    ended = result(ExitCode.FAILURES, {R: 4}, groups=groups, report="/reports/billing/run")

    shown = render_result(ended, links=True)
    assert "queue billing\n" in shown
    assert "queue support\n" in shown
    assert "report: \x1b]8;;file:///reports/billing/run/report.html\x1b\\/reports" in shown
    assert "\x1b" not in render_result(ended)


def test_a_stopped_run_says_why_and_what_is_left():
    ended = result(ExitCode.STOPPED, {T: 1, U: 3}, explanation="the circuit stayed open for 5 min")

    assert render_result(ended) == text("""
        stopped: the circuit stayed open for 5 min
          batch billing, environment production, run 20261201T210000Z-1, duration 1 min 02 s

          transferred    1
          not attempted  3

        what to do next
          not attempted: the run ended before their turn: apply again to take them up
            runner apply billing.yaml --env production --journal 'the journal.db'
        """)


def test_a_dry_run_says_that_nothing_was_sent():
    planned = result(
        ExitCode.OK,
        plan=PlanFigures(send=12, unchanged=8, changed=2, in_doubt=0, estimate_s=153.0),
        run_id=None,
        duration_s=0.4,
        report="reports/billing/plan-1/report.html",
    )

    assert render_result(planned) == text("""
        valid: 12 of 20 transfers would be sent
          batch billing, environment production, 0.4 s
          nothing was sent; no connection was made

          would be sent  12  2 of them carried to another destination before
          unchanged       8
          takes about 2 min 33 s at the limits

        report: reports/billing/plan-1/report.html
        """)


def test_a_dry_run_with_doubts_and_preflight_says_both():
    planned = result(
        ExitCode.IN_DOUBT,
        plan=PlanFigures(send=1, unchanged=0, changed=0, in_doubt=2, estimate_s=None),
        connected=True,
    )

    shown = render_result(planned)

    assert shown.startswith(
        "in doubt: 2 of 3 transfers may or may not have been carried out; 1 would be sent\n"
    )
    assert "\n  nothing was sent; the gateway was only queried\n" in shown
    assert "  in doubt       2\n" in shown
    assert "  in doubt: each may have been" in shown


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (result(ExitCode.OK, {T: 3, S: 1}), "ok: all 4 transfers done"),
        (result(ExitCode.OK, {T: 1}), "ok: the one transfer is done"),
        (
            result(ExitCode.OK, {E: 9}),
            "ok: nothing to send, all 9 transfers were carried out by earlier runs",
        ),
        (
            result(ExitCode.OK, {T: 1, U: 2}, not_selected=2),
            "ok: 1 of 3 transfers done; 2 not selected",
        ),
        (result(ExitCode.OK), "ok: no transfers were listed or selected"),
        (
            result(ExitCode.FAILURES, {T: 2, R: 1, F: 1}),
            "failures: 2 of 4 transfers were rejected or failed",
        ),
        (
            result(ExitCode.FAILURES, {T: 3, R: 1, U: 4}, not_selected=4),
            "failures: 1 of 8 transfers was rejected or failed; 4 not selected",
        ),
        (result(ExitCode.FAILURES, {R: 1}), "failures: 1 of 1 transfer was rejected or failed"),
        (
            result(ExitCode.IN_DOUBT, {U: 5}),
            "in doubt: a transfer outside this selection may or may not have been carried out",
        ),
        (
            result(ExitCode.UNREACHABLE, {U: 5}, explanation="the token was refused"),
            "unreachable: the token was refused; nothing was sent",
        ),
        (
            result(ExitCode.UNREACHABLE),
            "unreachable: could not authenticate or connect; nothing was sent",
        ),
        (
            result(ExitCode.TERMINATED, {U: 5}),
            "interrupted: SIGTERM ended the run; transfers in flight were given time to settle",
        ),
        (result(ExitCode.STOPPED), "stopped: the run ended early"),
        (
            result(ExitCode.PENDING, plan=PlanFigures(1, 0, 0, 0, None)),
            "valid: 1 of 1 transfer would be sent",
        ),
        (
            result(ExitCode.OK, plan=PlanFigures(0, 7, 0, 0, None)),
            "valid: nothing to send, 7 of 7 transfers unchanged",
        ),
    ],
)
def test_every_ending_has_a_verdict(ended: RunResult, expected: str):
    assert verdict(ended) == expected


def test_of_many_reasons_ten_are_shown():
    groups = [Group(R, f"reason {n}", 20 - n) for n in range(12)]

    shown = render_result(result(ExitCode.FAILURES, {R: 174}, groups=groups))

    assert (
        "\n  11 rejected: reason 9\n  … and 2 more reasons for 19 transfers: see the report\n"
        in shown
    )


@pytest.mark.parametrize(
    "ended",
    [
        result(ExitCode.OK, plan=PlanFigures(1, 0, 0, 2, None)),
        result(ExitCode.IN_DOUBT, {T: 3}, explanation="in doubt elsewhere: run r-1, key k1"),
    ],
    ids=["of a plan", "elsewhere"],
)
def test_a_doubt_of_another_run_is_not_offered_to_be_settled_in_this_one(ended: RunResult):
    shown = render_result(ended)
    assert "\n       runner status --journal 'the journal.db'\n" in shown
    assert "see which runs left the others, and the command that lists each" in shown
    assert "runner resolve" not in shown


def test_a_terminal_gets_lines_that_break_between_words_and_whole_commands():
    ended = result(
        ExitCode.STOPPED,
        {T: 1, D: 1},
        doubt_key="k4",
        explanation="the gateway has answered nothing for 300 s; see to it, then run apply again",
        report="reports/a-batch-with-a-rather-long-name/20261201T210000Z-1",
    )

    shown = render_result(ended, width=40, color=True)

    assert shown.startswith(
        "\x1b[1;31mstopped\x1b[0m: the gateway has\n  answered nothing for 300 s; see to it,\n"
        "  then run apply again\n"
    )
    assert (
        "\n         runner resolve 20261201T210000Z-1 k4 --journal 'the journal.db' --as failed"
        " --reason 'looked up at the gateway: it was not carried out'\n"
    ) in shown
    assert "\n  reports/a-batch-with-a-rather-long-name/20261201T210000Z-1\n" in shown


def test_a_terminal_gets_the_verdict_in_colour():
    assert render_result(result(ExitCode.OK, {T: 2}), color=True).startswith(
        "\x1b[1;32mok\x1b[0m: all 2 transfers done\n"
    )
    assert render_result(result(ExitCode.FAILURES, {R: 2}), color=True).startswith("\x1b[1;31m")


def test_json_has_the_same():
    ended = result(
        ExitCode.FAILURES,
        {T: 1, R: 1, F: 0},
        explanation="saw Bearer abcdef.123",
        groups=[Group(R, "https://u:p@h/x?y", 1, ("a.yaml:4",), "other_status", keys=("vip",))],
        report="r/report.html",
        started_at="2026-12-01T21:00:00.000000Z",
        finished_at="2026-12-01T21:01:02.000000Z",
        steps=[Step("apply again", ("runner", "apply", "a b.yaml"))],
    )

    assert json.loads(result_to_json(ended)) == {
        "version": 1,
        "kind": "apply",
        "id": "20261201T210000Z-1",
        "run": "20261201T210000Z-1",
        "batch": "billing",
        "environment": "production",
        "started_at": "2026-12-01T21:00:00.000000Z",
        "finished_at": "2026-12-01T21:01:02.000000Z",
        "state": "finished",
        "outcome": "failures",
        "exit_code": 1,
        "explanation": "saw Bearer [redacted]",
        "total": 2,
        "counts": dict.fromkeys(Outcome, 0) | {"transferred": 1, "rejected": 1},
        "in_flight": 0,
        "not_selected": 0,
        "groups": [
            {
                "outcome": "rejected",
                "reason": "https://h/x?…",
                "count": 1,
                "examples": ["a.yaml:4"],
                "reason_code": "other_status",
                "keys": ["vip"],
            }
        ],
        "plan": None,
        "report": "r/report.html",
        "duration_s": 62.0,
        "next_steps": [
            {
                "text": "apply again",
                "command": "runner apply 'a b.yaml'",
                "argv": ["runner", "apply", "a b.yaml"],
            }
        ],
    }


def test_json_of_a_dry_run_is_planned():
    planned = json.loads(result_to_json(result(ExitCode.OK, plan=PlanFigures(1, 2, 1, 0, 3.5))))

    assert (planned["version"], planned["kind"]) == (1, "plan")
    assert planned["outcome"] == "planned"
    assert planned["plan"] == {
        "send": 1,
        "unchanged": 2,
        "changed": 1,
        "in_doubt": 0,
        "estimate_s": 3.5,
        "pauses_s": 0.0,
        "failed_before": 0,
        "at_once": None,
        "waves": [],
        "max_failures": None,
        "window": None,
        "ends_at": None,
        "misses_window": False,
        "opens_at": None,
        "closes_at": None,
        "selections": 0,
        "skipped": 0,
        "openings": [],
        "zone": None,
        "approvals": 0,
        "needs_preflight": False,
    }


def test_a_plan_shows_its_waves_its_threshold_and_its_window():
    window = WindowRecord("2026-12-01T22:00:00+01:00", "2026-12-02T04:00:00+01:00")
    plan = PlanFigures(
        2000, 0, 0, 0, 80.0, (1, 200, 2000), 100, window, "2026-12-02T04:10:00+01:00",
        misses_window=True, failed_before=3, at_once=101,
    )  # fmt: skip

    shown = render_result(result(ExitCode.OK, plan=plan))

    assert (
        "  takes about 1 min 20 s at the limits\n"
        "  in 3 waves: 1, then 199, then 1,800\n"
        "  3 of them rejected or failed before, and are tried again, after all others\n"
        "  stops when more than 100 of 2,000 fail: at most 101 in flight\n"
        "  is sent only from 2026-12-01T22:00:00+01:00 until 2026-12-02T04:00:00+01:00\n"
        "  ends at about 2026-12-02T04:10:00+01:00 at the limits, after the window has closed:"
        " the rest would not be sent\n"
    ) in shown


def test_many_waves_are_listed_in_one_line():
    shown = render_result(
        result(ExitCode.OK, plan=PlanFigures(9, 0, 0, 0, None, tuple(range(1, 10))))
    )

    assert (
        "\n  in 9 waves: 1, then 1, then 1, then 1, then 1, then 1, then 1, then 1, then …\n"
        in shown
    )


def test_github_gets_the_verdict_as_a_command_and_no_other_command():
    evil = "::stop-commands::x\n##[add-mask]y"

    lines = result_to_github(result(ExitCode.STOPPED, {U: 1}, explanation=evil)).splitlines()

    assert lines[0] == ("::error title=billing::stopped: ::stop-commands::x\\n##[add-mask]y")
    assert not any("##[" in line or line.lstrip().startswith("::") for line in lines[1:])
    assert result_to_github(result(ExitCode.OK, {T: 2})).startswith("::notice title=billing::ok: ")


def test_each_output_has_its_form():
    warning = Problem("R010", "odd", Place("none", 1, 1), "", Severity.WARNING)
    ended, sources = result(ExitCode.OK, {T: 2}), SourceFiles()

    def shown(output: OutputFormat) -> tuple[str, str]:
        problems = problems_text([warning], output, sources)
        return problems[:10], result_text(ended, output, warnings=[warning])[:10]

    assert shown(OutputFormat.PRETTY) == ("warning[R0", "ok: all 2 ")
    assert shown(OutputFormat.GITHUB) == ("::warning ", "::notice t")
    assert shown(OutputFormat.JSON) == ('{\n  "versi', '{\n  "versi')
    assert shown(OutputFormat.SARIF) == ('{\n  "$sche', '{\n  "$sche')


def test_a_plan_names_what_it_would_move_the_first_twenty():
    moves = [PlannedMove("vip", "i-0", "genesys://queue/b", "genesys://queue/a")]
    moves += [PlannedMove(f"k{n}", f"i-{n}", "genesys://queue/b", None) for n in range(1, 30)]
    planned = result(ExitCode.OK, plan=PlanFigures(50, 0, 1, 0, 2.0), moves=moves, report="r")
    shown = render_result(planned)
    assert "would move\n  vip  genesys://queue/a → genesys://queue/b\n  k1  genesys" in shown
    assert "  k19  genesys://queue/b\n  … and 30 more: see the report\n" in shown
    document = json.loads(result_to_json(planned))
    assert (len(document["moves"]), document["moves_omitted"]) == (30, 20)
    assert document["moves"][0]["from"] == "genesys://queue/a"


def test_a_plan_sums_by_destination_the_largest_first():
    sums = [("genesys://queue/11", 1200), *((f"genesys://queue/q{n}", 9) for n in range(11))]
    plan, names = PlanFigures(1299, 0, 0, 0, None), {"genesys://queue/11": "Billing"}
    planned = result(ExitCode.OK, plan=plan, destinations=sums, place_names=names, report="r")
    shown = render_result(planned)
    assert (
        "to each destination\n  1,200  queue Billing (11)\n      9  genesys://queue/q0\n" in shown
    )
    assert "\n  … and 18 to 2 further destinations: see the report\n" in shown


def test_a_plan_says_what_is_skipped_by_reason_with_some_rows():
    groups = [Group(S, "protected by `never.csv:4`", 5, names=["k1", "k2", "k3", "k4"])]
    plan = PlanFigures(0, 0, 0, 0, None, skipped=5)
    shown = render_result(result(ExitCode.OK, {S: 5}, plan=plan, groups=groups))
    assert "  skipped        5\n" in shown
    assert (
        "reasons\n  5 skipped: protected by `never.csv:4`\n      k1, k2, k3 and 2 more\n" in shown
    )


def test_a_plan_s_remarks_have_a_line_each():
    remarks = ["preflight: token and session are good", "  12 would be sent", "  3 have ended"]
    plan = PlanFigures(12, 0, 0, 0, None)
    explained = "; ".join(each.strip() for each in remarks)
    shown = render_result(result(ExitCode.OK, plan=plan, explanation=explained, remarks=remarks))
    assert (
        "  preflight: token and session are good\n    12 would be sent\n    3 have ended\n" in shown
    )
    assert explained not in shown


def test_a_plan_shows_the_names_of_queues_and_users_with_their_ids():
    moves = [PlannedMove("k1", "i-1", "genesys://user/22", "genesys://queue/11")]
    names = {"genesys://queue/11": "Billing EU", "genesys://user/22": "Ada\x1b[31m"}
    planned = result(ExitCode.OK, plan=PlanFigures(1, 0, 0, 0, 2.0), moves=moves, place_names=names)
    told = json.loads(result_to_json(planned))["moves"][0]
    shown = render_result(planned)
    assert "  k1  queue Billing EU (11) → user Ada\\x1b[31m (22)\n" in shown
    assert (told["from"], told["from_name"]) == ("genesys://queue/11", "Billing EU")
    assert (told["to"], told["to_name"]) == ("genesys://user/22", "Ada\x1b[31m")


def test_a_result_names_the_most_that_left_in_a_second_against_rate_and_burst():
    figures = Figures(rate_limit_per_s=25.0, burst=5, peak_in_any_second=29)
    shown = render_result(result(ExitCode.OK, {T: 60}, figures=figures))
    assert "  at most 29 sent in a second, of 25/s + 5 burst\n" in shown
