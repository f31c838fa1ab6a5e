"""Every command that is offered is pasted: none is wrong, begins a journal or moves anybody again."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Ended, Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, MUTE_BUT_MOVED, Step

COMMANDS = "apply|plan|status|report|reports|resolve|audit|doctor|init|simulate|schema"
KEY = "k-'quoted'"
"""Of a doubt."""

OFFERED = re.compile(rf"\brunner (?:{COMMANDS})\b")


def test_what_is_offered_after_odd_options_is_safe_to_paste(gateway: Gateway, harness: Harness):
    """The options are given, and each command repeats them."""
    path, result = batch(gateway, harness), options()
    given = [word for pair in result.items() for word in pair]
    commands = gathered(harness, path, given)
    assert any(" apply " in command for command in commands)
    assert any(" resolve " in command for command in commands)
    paste(harness, gateway, commands)


def test_what_variables_gave_is_repeated_as_options(gateway: Gateway, harness: Harness):
    """A pasted command may run in another shell."""
    path = batch(gateway, harness)
    variables = {f"RUNNER_{name[2:].upper().replace('-', '_')}": v for name, v in options().items()}
    harness.env |= variables
    commands = gathered(harness, path, [])
    for name in variables:
        del harness.env[name]
    paste(harness, gateway, commands)


def test_a_plan_offers_the_environment_that_it_was_made_for(gateway: Gateway, harness: Harness):
    path = batch(gateway, harness)
    planned = harness.run("plan", path.relative_to(harness.folder), "--env", "foreign")
    [command] = [each for each in in_text(planned.out) if " apply " in each]
    assert command == "runner apply 'the batches/batch.yaml' --env foreign"
    written = harness.run("plan", path, "--env", "foreign", "--out", "p.json")
    [command] = [each for each in in_text(written.out) if " apply " in each]
    assert command.startswith("runner apply p.json --env foreign")


def test_a_plan_of_moving_again_is_carried_out_by_a_file_and_only_once(
    gateway: Gateway, harness: Harness
):
    path = harness.write(manifest(gateway, [transfer(key="k0")]))
    assert harness.run("apply", path).code == 0
    planned = harness.run("plan", path, "--again")
    plan, apply = [each for each in in_text(planned.out) if re.match("runner (plan|apply)", each)]
    assert "--again" not in apply
    for command in (plan, apply, apply):
        ended = harness.run(*shlex.split(command)[1:])
        assert ended.code == 0, ended.err
    assert len(gateway.effects) == 2
    assert all("--again" not in each for each in in_report(harness.newest_report().folder))


def test_a_plan_that_no_longer_holds_names_the_command_that_makes_it_again(
    gateway: Gateway, harness: Harness
):
    content = manifest(gateway, [transfer(key="k0"), transfer(key="k1")])
    path = harness.write(content)
    made = ("--only", "k*", "--journal", "the journal.db", "--out", "p.json")
    assert harness.run("plan", path, *made).code == 0
    content["transfers"].pop()
    harness.write(content)
    refused = harness.run("apply", "p.json")
    assert refused.code == 3
    [command] = set(in_text(refused.err))
    assert harness.run(*shlex.split(command)[1:]).code == 0
    assert harness.run("apply", "p.json").code == 0
    assert (harness.folder / "the journal.db").exists()
    assert not (harness.folder / ".runner").exists()


@pytest.mark.parametrize("word", ["transferred", "failed"])
def test_what_is_settled_already_is_not_wrong_usage(gateway: Gateway, harness: Harness, word: str):
    doubtful = transfer(key="k0")
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    path = harness.write(manifest(gateway, [doubtful]))
    assert harness.run("apply", path).code == 6
    said = ("latest", "k0", "--reason", "seen")
    assert harness.run("resolve", *said, "--as", "failed").code == 0
    again = harness.run("resolve", *said, "--as", word)
    assert again.code == 1
    assert "nothing was changed" in again.err


def options() -> dict[str, str]:
    return {
        "--env": "foreign",
        "--journal": "a journal.db",
        "--report-dir": "my reports",
        "--only": "k*",
        "--limit": "6",
        "--in-flight": "2",
        "--rate": "90/s",
        "--max-failures": "80%",
    }


def batch(gateway: Gateway, harness: Harness) -> Path:
    """Write a batch that leaves doubts, a rejection and rows that were not selected."""
    keys = (KEY, "k-plain", "k-refused", "k-moved", "k-good", "x-good")
    rows = [transfer(key=key) for key in keys]
    for row, steps in zip(
        rows, ([MUTE], [MUTE], [Step("transfer_rejected")], [MUTE_BUT_MOVED]), strict=False
    ):
        gateway.scripts[row["interaction_id"]] = steps
    content = manifest(gateway, rows)
    dead = json.loads(json.dumps(content["environments"]["foreign"]))
    dead["endpoints"] = dict.fromkeys(dead["endpoints"], "https://127.0.0.1:9/")
    dead["endpoints"]["websocket_url"] = "wss://127.0.0.1:9/"
    content["environments"]["production"] = dead
    content["environment"] = "production"
    (harness.folder / "the batches").mkdir()
    return harness.write(content, "the batches/batch.yaml")


def gathered(harness: Harness, path: Path, given: list[str]) -> list[str]:
    """Return every command that a batch's life offers, in all forms of its output."""
    where = [word for name in ("--env", "--journal") for word in _pair(name, given)]
    relative = path.relative_to(harness.folder)
    found: list[str] = []

    def take(ended: Ended) -> Ended:
        assert ended.code != 2, ended.err
        found.extend([*in_text(ended.out), *in_text(ended.err)])
        if ended.out.startswith("{"):
            found.extend(in_json(json.loads(ended.out)))
        return ended

    take(harness.run("plan", relative, *given))
    take(harness.run("apply", relative, *given, "--validate-only", "--output", "json"))
    applied = take(harness.run("apply", relative, *given))
    assert applied.code == 6, applied
    take(harness.run("status", *where))
    take(harness.run("status", *where, "--output", "json"))
    take(harness.run("status", "latest", *where))
    result = json.loads(harness.run("status", "latest", *where, "--output", "json").out)
    found.extend(in_json(result))
    run = result["run"]["id"]
    take(harness.run("report", run, *where, "--format", "html,json,junit,csv,md"))
    key = result["run"]["doubts"][0]["key"]
    take(harness.run("resolve", run, key, "--as", "failed", "--reason", "seen", *where))
    for folder in (harness.folder / "my reports" / "batch").iterdir():
        found.extend(in_report(folder))
    assert not (harness.folder / "the batches" / ".runner").exists()
    return list(dict.fromkeys(found))


def _pair(name: str, given: list[str]) -> list[str]:
    return given[given.index(name) :][:2] if name in given else []


def paste(harness: Harness, gateway: Gateway, commands: list[str]) -> None:
    """Carry every command out, in the folder where the run was started; what moves, once more."""
    for command in [*commands, *(each for each in commands if " apply " in each)]:
        words = shlex.split(command)
        assert words[0] == "runner"
        ended = harness.run(*words[1:])
        assert ended.code != 2, (command, ended.err)
        assert ended.code != 4, (command, "it asked the other environment")
    journals = [each.name for each in harness.folder.rglob("*.db")]
    assert journals == ["a journal.db"]
    moved = [effect.interaction_id for effect in gateway.effects]
    assert len(moved) == len(set(moved)), "somebody was moved twice"
    assert {each.name for each in harness.folder.iterdir() if each.is_dir()} == {
        *("the batches", "my reports")
    }


def in_text(text: str) -> list[str]:
    """Return the commands of a terminal's text: each stands on a line of its own, whole."""
    lines = [line.strip() for line in text.splitlines()]
    whole = [line for line in lines if OFFERED.match(line)]
    within = [line for line in lines if OFFERED.search(line) and not line.startswith(("{", '"'))]
    assert whole == within, "a command stands within other words"
    return whole


def in_json(result: Any) -> Iterator[str]:
    """Yield the commands of a document."""
    match result:
        case {"command": str(command), "argv": argv}:
            assert shlex.split(command) == argv
            yield command
        case dict():
            for value in result.values():
                yield from in_json(value)
        case list():
            for value in result:
                yield from in_json(value)
        case str():
            assert not OFFERED.search(result), result


def in_report(folder: Path) -> list[str]:
    """Return the commands of a report in all its forms."""
    found: list[str] = []
    for path in folder.iterdir():
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            found.extend(in_json(json.loads(text)))
        elif path.suffix in {".html", ".md"}:
            codes = [html.unescape(each) for each in re.findall(r"<code[^>]*>([^<]*)</code>", text)]
            offered = [each for each in codes if OFFERED.search(each)]
            assert all(OFFERED.match(each) for each in offered), offered
            # Those that settle a doubt are filled in, with its key, when a row is opened.
            filled_in = re.findall(r"data-settle='([^']*)'", text)
            shown = re.sub(r"data-settle='[^']*'", "", text)
            assert len(offered) == len(OFFERED.findall(html.unescape(shown))), path
            for settling in filter(None, map(json.loads, map(html.unescape, filled_in))):
                templates = [template for _, template in settling["steps"]]
                offered += [each.replace(settling["key"], shlex.quote(KEY)) for each in templates]
            found.extend(offered)
        else:
            assert not OFFERED.search(text), path
    return found
