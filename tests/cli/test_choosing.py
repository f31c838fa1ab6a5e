"""What keeps interactions out of a run: `--exclude`, `exclude_from`, `--only-outcome … --of`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.harness import ELSEWHERE, Harness, ids, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import GOOD, MUTE, Step

REFUSED = Step("transfer_rejected")


def test_what_is_excluded_is_not_selected(gateway: Gateway, harness: Harness):
    """Also where --only selects it, and before --limit counts."""
    keyed = [transfer(key=key) for key in ("vip-1", "vip-2", "a", "b")]
    content = manifest(gateway, keyed)
    first = harness.apply(content, "--exclude", "vip-*", "--only", "*-1", "--only", "[ab]")
    assert list(first.outcomes().values()) == ["unattempted", "unattempted", "transferred", "transferred"]  # fmt: skip
    assert first.report.run["options"]["exclude"] == ["vip-*"]
    second = harness.apply(content, "--exclude", "vip-1", "--limit", "1")
    assert second.report.by_id[keyed[1]["interaction_id"]]["outcome"] == "transferred"
    assert len(gateway.effects) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--exclude", "vpi-*"), "--exclude 'vpi-*' matches no transfer"),
        (("--exclude", "*"), "--exclude leaves no transfer to send"),
        (("--only", "vip-*", "--exclude", "vip-*"), "--exclude leaves no transfer to send"),
        (("--only-outcome", "failed"), "belong together"),
        (("--of", "latest"), "belong together"),
        (("--only-outcome", "lost", "--of", "latest"), "unknown outcome `lost`"),
        (("--only-outcome", "failed", "--of", "nothing"), "no run nothing"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(
    gateway: Gateway, harness: Harness, options: tuple[str, ...], said: str
):
    path = harness.write(manifest(gateway, [transfer(key="vip-1"), transfer(key="a")]))
    ended = harness.run("apply", path, *options)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not gateway.frames


def protected(harness: Harness, *interactions: str) -> dict[str, Any]:
    lines = ["name,interaction_id", *(f"someone,{each}" for each in interactions)]
    (harness.folder / "protected.csv").write_text("\n".join(lines) + "\n")
    return {"exclude_from": "protected.csv"}


def test_a_protected_interaction_is_never_moved(gateway: Gateway, harness: Harness):
    """Whatever spelling lists it, and whatever options are given; it is skipped, not unselected."""
    vip, other = transfer(), transfer()
    content = manifest(gateway, [vip, other])
    guarded = content | protected(harness, vip["interaction_id"].upper())
    for options in ((), ("--again",), ("--only", vip["interaction_id"])):
        result = harness.apply(guarded, *options)
        assert result.code == 0
        one = result.report.by_id[vip["interaction_id"]]
        assert (one["outcome"], one["reason_code"]) == ("skipped", "protected")
        assert one["reason"] == "protected by protected.csv:2"
    assert not gateway.moves(vip["interaction_id"])
    dry = harness.run("plan", harness.write(guarded), "--output", "json")
    assert json.loads(dry.out)["plan"]["skipped"] == 1
    assert harness.apply(content).outcomes()[vip["interaction_id"]] == "transferred"


def test_a_doubt_of_a_protected_interaction_is_looked_at_and_not_sent_again(
    gateway: Gateway, harness: Harness
):
    one = transfer()
    gateway.scripts[one["interaction_id"]] = [MUTE, GOOD]
    content = manifest(gateway, [one])
    content["gateways"]["edge"]["delivery"] = {"dedupes": "24h"}
    gateway.scripts[one["interaction_id"]] = [Step(close_code=4403, effect=False)]
    assert harness.apply(content).outcomes()[one["interaction_id"]] == "in_doubt"
    sent = len(gateway.frames)
    again = harness.apply(content | protected(harness, one["interaction_id"]))
    assert again.code == 6
    assert len(gateway.frames) == sent


@pytest.mark.parametrize(
    "lines", [[], ["interaction_id"], ["name", "x"], ["interaction_id", "a\u200bb"]]
)
def test_a_list_of_protected_interactions_that_cannot_be_meant_is_an_error(
    gateway: Gateway, harness: Harness, lines: list[str]
):
    (harness.folder / "protected.csv").write_text("".join(f"{line}\n" for line in lines))
    path = harness.write(manifest(gateway, [transfer()]) | {"exclude_from": "protected.csv"})
    assert harness.run("apply", path).code == 3
    assert harness.run("apply", harness.write({"exclude_from": "no.csv"})).code == 3
    assert not gateway.frames


def test_only_what_ended_so_in_a_run_is_sent(gateway: Gateway, harness: Harness):
    good, refused, later = transfer(key="good"), transfer(key="refused"), transfer(key="later")
    gateway.scripts[refused["interaction_id"]] = [REFUSED, REFUSED, GOOD]
    content = manifest(gateway, [good, refused])
    run = harness.apply(content).report.run["id"]
    more = content | {"transfers": [good | {"destination_uri": ELSEWHERE}, refused, later]}
    second = harness.apply(more, "--only-outcome", "rejected, failed", "--of", run)
    assert [second.outcomes()[name] for name in ids([good, refused, later])] == [
        "unattempted",
        "rejected",
        "unattempted",
    ]
    third = harness.apply(more, "--only-outcome", "rejected", "--of", "latest")
    assert third.outcomes()[refused["interaction_id"]] == "transferred"
    nothing = harness.apply(more, "--only-outcome", "failed", "--of", run)
    assert nothing.code == 0
    assert len(gateway.effects) == 2


def test_latest_is_named_by_its_id_in_whatever_repeats_it(gateway: Gateway, harness: Harness):
    """The next step of a run that stopped early goes on with the same choice, not with its own."""
    refused = [transfer(key=f"refused-{n}") for n in range(3)]
    for each in refused:
        gateway.scripts[each["interaction_id"]] = [REFUSED, REFUSED]
    content = manifest(gateway, refused)
    run = harness.apply(content).report.run["id"]
    second = harness.apply(content, "--only-outcome", "rejected", "--of", "latest", "--limit", "1")
    assert second.report.run["options"]["of"] == run
    assert f"--of {run}" in second.ended.out
    assert "--of latest" not in second.ended.out


def test_a_plan_is_applied_with_its_own_choice_and_with_no_other(
    gateway: Gateway, harness: Harness
):
    vip, other = transfer(key="vip"), transfer(key="other")
    path = harness.write(manifest(gateway, [vip, other]))
    assert harness.run("plan", path, "--exclude", "vip", "--out", "plan.json").code == 0
    assert harness.run("apply", "plan.json", "--exclude", "other").code == 3
    assert harness.run("apply", "plan.json").code == 0
    assert not gateway.moves(vip["interaction_id"])
    assert gateway.moves(other["interaction_id"])
