"""Applied again, only what is due is sent (recovery, "Claims")."""

from __future__ import annotations

import json

from tests.e2e.harness import ELSEWHERE, HERE, Harness, ids, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, MUTE_BUT_MOVED, Interaction, Step


def test_history_is_kept_by_interaction_not_by_name(gateway: Gateway, harness: Harness):
    """A renamed batch, another key, other media, another file: nobody moves again."""
    transfers = [transfer() for _ in range(10)]
    content = manifest(gateway, transfers)
    first = harness.apply(content)
    assert first.code == 0, first.ended.err
    renamed = content | {"name": "renamed"}
    keyed = content | {"transfers": [t | {"key": f"k{n}"} for n, t in enumerate(transfers)]}
    other_media = content | {"transfers": [t | {"media": "video"} for t in transfers]}
    for again in (renamed, keyed, other_media):
        applied = harness.apply(again)
        assert applied.code == 0, applied.ended.err
        assert applied.report.summary["unchanged"] == 10
        assert first.report.run["id"] in applied.report.json["transfers"][0]["reason"]
    assert len(gateway.frames) == len(gateway.effects) == 10


def test_another_spelling_moves_nothing_again(gateway: Gateway, harness: Harness):
    """Of the number, of the address, of the interaction's UUID; the frame says what was written."""
    numbered, addressed = transfer(to="tel:+441234567"), transfer(to="sip:bob@example.com")
    first = harness.apply(manifest(gateway, [numbered, addressed], preflight=True))
    assert first.code == 0, first.ended.err
    spelt = [
        transfer(numbered["interaction_id"].upper(), to="tel:+44-1234567"),
        transfer(addressed["interaction_id"], to="sip:bob@Example.COM:5060"),
    ]
    again = harness.apply(manifest(gateway, spelt, preflight=True))
    assert again.code == 0, again.ended.err
    assert again.report.summary["unchanged"] == 2
    assert len(gateway.effects) == 2
    other = harness.apply(manifest(gateway, [transfer(to="tel:+44-12-34")]))
    assert other.code == 0, other.ended.err
    assert gateway.effects[-1].destination_uri == "tel:+44-12-34"


def test_a_changed_destination_is_a_new_transfer(gateway: Gateway, harness: Harness):
    """The plan says so, only the changed row is sent, and going back counts as a change again."""
    transfers = [transfer() for _ in range(4)]
    content = manifest(gateway, transfers)
    first_run = harness.apply(content)
    moved = [transfers[0] | {"destination_uri": ELSEWHERE}, *transfers[1:], late := transfer()]
    changed = content | {"transfers": moved}
    dry = harness.run("apply", harness.write(changed), "--validate-only", "--output", "json")
    assert dry.code == 0, dry.err
    [plan_folder] = (harness.folder / "reports" / "batch").glob("plan-*")
    from_plan = harness.report(plan_folder).json["plan"]
    assert {name: from_plan[name] for name in ("send", "unchanged", "changed", "in_doubt")} == {
        "send": 2,
        "unchanged": 3,
        "changed": 1,
        "in_doubt": 0,
    }
    applied = harness.apply(changed)
    assert [applied.outcomes()[name] for name in ids(moved)] == [
        "transferred",
        "unchanged",
        "unchanged",
        "unchanged",
        "transferred",
    ]
    assert "progress" not in first_run.report.json
    made = applied.report.json["progress"]
    assert (made["previous_run"], made["runs"]) == (first_run.report.run["id"], 2)
    assert (made["transferred"], made["moved_in_all"]) == (2, 5)
    assert f"since run {made['previous_run']} (" in applied.ended.out
    back = harness.apply(content | {"transfers": [*transfers, late]})
    assert back.report.summary["transferred"] == 1
    first = ids(transfers)[0]
    assert [e.destination_uri for e in gateway.moves(first)] == [HERE, ELSEWHERE, HERE]
    assert len(gateway.effects) == 7


def test_again_moves_what_was_moved_and_still_not_what_is_in_doubt(
    gateway: Gateway, harness: Harness
):
    done, doubtful = transfer(), transfer()
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    content = manifest(gateway, [done, doubtful])
    assert harness.apply(content).code == 6
    again = harness.apply(content, "--again")
    assert again.code == 6
    assert len(gateway.deliveries(done["interaction_id"])) == 2
    assert len(gateway.deliveries(doubtful["interaction_id"])) == 1


def test_an_interaction_in_doubt_admits_no_new_destination(gateway: Gateway, harness: Harness):
    """Neither under another batch, nor another key, nor to another destination."""
    doubtful = transfer()
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    content = manifest(gateway, [doubtful])
    assert harness.apply(content).code == 6
    elsewhere = doubtful | {"destination_uri": ELSEWHERE, "key": "other"}
    applied = harness.apply(content | {"name": "other", "transfers": [elsewhere]})
    assert applied.code == 6, applied.ended.err
    [row] = applied.report.json["transfers"]
    assert (row["outcome"], row["reason_code"]) == ("in_doubt", "doubt_elsewhere")
    assert row["reason"].startswith(f"in doubt is the move to {HERE}: ")
    assert "it was carried out, to the destination that its reason names:" in applied.ended.out
    assert len(gateway.frames) == 1


def test_a_doubt_that_was_carried_out_elsewhere_is_settled_and_its_row_waits(
    gateway: Gateway, harness: Harness
):
    """The manifest's destination was changed in between: only the next plan takes it up."""
    doubtful = transfer()
    name = doubtful["interaction_id"]
    gateway.scripts[name] = [MUTE, Step()]
    content = manifest(gateway, [doubtful], preflight=True)
    assert harness.apply(content).code == 6
    gateway.interactions[name] = Interaction(name, destination_uri=HERE)
    changed = content | {"transfers": [doubtful | {"destination_uri": ELSEWHERE}]}
    applied = harness.apply(changed)
    assert applied.code == 5, applied.ended.err
    [row] = applied.report.json["transfers"]
    assert (row["outcome"], row["reason_code"]) == ("unattempted", "moved_elsewhere_since")
    assert "1 transfer was in doubt for another destination" in applied.ended.out
    assert "runner resolve" not in applied.ended.out
    shown = harness.run("status", "latest", "--output", "json")
    assert json.loads(shown.out)["run"]["counts"]["unattempted"] == 1
    again = harness.apply(changed)
    assert again.code == 0, again.ended.err
    assert [e.destination_uri for e in gateway.moves(name)] == [ELSEWHERE]


def test_a_doubt_is_settled_by_evidence_and_never_by_sending(gateway: Gateway, harness: Harness):
    """The next apply looks first: our id or our destination says carried out."""
    by_id, by_place, nothing = transfer(), transfer(), transfer()
    gateway.scripts[by_id["interaction_id"]] = [MUTE_BUT_MOVED]
    gateway.scripts[by_place["interaction_id"]] = [MUTE]
    gateway.scripts[nothing["interaction_id"]] = [MUTE]
    content = manifest(gateway, [by_id, by_place, nothing], preflight=True)
    first = harness.apply(content)
    assert first.code == 6, first.ended.err
    name = by_place["interaction_id"]
    gateway.interactions[name] = Interaction(name, destination_uri=HERE)
    second = harness.apply(content)
    assert second.code == 6
    outcomes = second.outcomes()
    assert outcomes[by_id["interaction_id"]] in {"transferred", "unchanged"}
    assert outcomes[by_place["interaction_id"]] in {"transferred", "unchanged"}
    assert outcomes[nothing["interaction_id"]] == "in_doubt"
    assert len(gateway.frames) == 3


def test_what_failed_and_what_was_refused_is_taken_up_again(gateway: Gateway, harness: Harness):
    """With one look at the interaction before it, also with preflight off."""
    refused, limited, fine = transfer(), transfer(), transfer()
    gateway.scripts[refused["interaction_id"]] = [Step("transfer_rejected"), Step()]
    gateway.scripts[limited["interaction_id"]] = [*[Step("rate_limited")] * 3, Step()]
    content = manifest(gateway, [refused, limited, fine], limits={"rate": "400/s"})
    first = harness.apply(content)
    assert first.code == 1, first.ended.err
    assert [first.outcomes()[n] for n in ids([refused, limited])] == ["rejected", "failed"]
    second = harness.apply(content)
    assert second.code == 0, second.ended.err
    assert second.report.summary["transferred"] == 2
    assert len(gateway.effects) == 3
    looked_at = {request.path.rsplit("/", 1)[1] for request in gateway.look_ups}
    assert set(ids([refused, limited])) <= looked_at
    second.report.agree_with(gateway)


def test_what_is_not_selected_waits_without_changing_the_exit(gateway: Gateway, harness: Harness):
    transfers = [transfer(key=f"{kind}-{n}") for kind in ("vip", "bulk") for n in range(3)]
    content = manifest(gateway, transfers)
    only = harness.apply(content, "--only", "vip-*")
    assert only.code == 0, only.ended.err
    assert [each["outcome"] for each in only.report.json["transfers"]] == [
        *["transferred"] * 3,
        *["unattempted"] * 3,
    ]
    assert only.report.json["transfers"][-1]["reason"] == "not selected"
    misspelt = harness.run("apply", harness.write(content), "--only", "bulk-*", "--only", "vip_*")
    assert misspelt.code == 2
    assert "--only 'vip_*' matches no transfer; " in misspelt.err
    assert len(gateway.frames) == 3
    limited = harness.apply(content, "--limit", "2")
    assert limited.code == 0
    assert limited.report.summary["transferred"] == 2
    assert limited.report.summary["unattempted"] == 1
    assert len(gateway.frames) == 5
