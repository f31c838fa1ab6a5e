"""Sections that several manifests share: `include:` (manifest.md, "Shared sections")."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.gates import QueueGate
from runner.manifest.load import Loaded
from runner.manifest.row_file_names import row_files_of
from tests.manifest.rendering import load_rows, rendered

MANIFEST = """
version: 1
name: shared-parts
include: {include}
environments: {{demo: {{driver: simulator, gateway: edge}}}}
defaults: {{media: voice}}
transfers: [{{interaction_id: call-1, destination_uri: "genesys://queue/billing"}}]
"""
GATEWAYS = "gateways: {edge: {max_bandwidth_kbps: 64, supported_codecs: [opus], max_fps: 30}}\n"
MEDIA = "media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}\n"


def loaded(folder: Path, include: str, **files: str) -> Loaded:
    (folder / "m.yaml").write_text(MANIFEST.format(include=include))
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_rows(folder / "m.yaml")[0]


def test_all_that_is_included_is_as_if_it_were_written_here(tmp_path: Path):
    found = loaded(tmp_path, "[a.yaml, b.yaml]", a=GATEWAYS, b=MEDIA)
    assert rendered(found.problems) == ""
    assert found.manifest is not None
    assert found.manifest.gateway.supported_codecs
    assert row_files_of(tmp_path / "m.yaml") == ["a.yaml", "b.yaml"], "a submission carries them"


LIMITED = """
destinations:
  genesys://queue/*: {in_flight: 2}
gates:
  crm: {url: "http://127.0.0.1:9/"}
notify:
  - {url: {env: CHAT_A}, on: [held]}
"""
NOTIFYING = """
notify:
  - {url: {env: CHAT_B}}
  - {url: {env: CHAT_C}, no: [held]}
"""
OWN = """
destinations: {"*": {in_flight: 9}}
notify: [{url: {env: CHAT}}]
policy: {waves: [1, {size: 100%, gates: [crm]}]}
"""


def with_own(folder: Path, own: str, **files: str) -> Loaded:
    names = ", ".join(f"{name}.yaml" for name in files)
    (folder / "m.yaml").write_text(MANIFEST.format(include=f"[{names}]") + own)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_rows(folder / "m.yaml")[0]


@pytest.mark.parametrize("own", [OWN, ""])
def test_limits_gates_and_messages_are_shared_too(
    tmp_path: Path, own: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("CHAT", "CHAT_A", "CHAT_B"):
        monkeypatch.setenv(name, f"json://127.0.0.1/{name}")
    messages = NOTIFYING.replace("\n  - {url: {env: CHAT_C}, no: [held]}", "")
    found = with_own(tmp_path, own, a=GATEWAYS + MEDIA, b=LIMITED, c=messages)
    assert [problem.code for problem in found.problems if problem.code != "S012"] == []
    assert found.manifest is not None
    limits = found.manifest.destinations.limits_of("genesys://queue/billing")
    assert limits is not None
    assert (limits.in_flight, limits.source) == (2, f"{tmp_path / 'b.yaml'}:3")
    assert list(found.manifest.gates) == ["crm"]
    shown = [each.url.reveal() for each in found.manifest.notify if each.url is not None]
    names = ["CHAT", "CHAT_A", "CHAT_B"][0 if own else 1 :]
    assert shown == [f"json://127.0.0.1/{name}" for name in names]


def test_a_fault_in_a_shared_list_has_its_place_there(tmp_path: Path):
    found = with_own(tmp_path, OWN, a=GATEWAYS + MEDIA, b=LIMITED, c=NOTIFYING)
    [problem] = [problem for problem in found.problems if problem.code == "S001"]
    assert problem.place.file.endswith("c.yaml")
    assert problem.place.line == 4


def test_a_queue_gate_knows_the_file_that_it_is_written_in(tmp_path: Path):
    """Its place is shown if no queue has that name."""
    gate = "gates: {overflow: {queue: Billing, waiting: '< 5'}}\n"
    own = "environments: {demo: {driver: simulator, gateway: edge, simulator: {platform: genesys-cloud}}}"
    text = MANIFEST.replace("environments: {{demo: {{driver: simulator, gateway: edge}}}}\n", "")
    (tmp_path / "m.yaml").write_text(text.format(include="[a.yaml, b.yaml]") + own)
    (tmp_path / "a.yaml").write_text(GATEWAYS + MEDIA)
    (tmp_path / "b.yaml").write_text(gate)
    manifest = load_rows(tmp_path / "m.yaml")[0].manifest
    assert manifest is not None
    found = manifest.gates["overflow"]
    assert isinstance(found, QueueGate)
    assert found.source == f"{tmp_path / 'b.yaml'}:1"


@pytest.mark.parametrize("text", [GATEWAYS, "gates: {crm: {command: [./a]}}\n"])
def test_a_name_that_is_defined_twice_is_r001_and_shows_both_places(tmp_path: Path, text: str):
    found = with_own(tmp_path, "", a=GATEWAYS + MEDIA + LIMITED, b=text, c="media: {}\n")
    [problem] = found.problems
    assert problem.code == "R001"
    assert "is defined twice" in problem.message
    assert [each.place.file[-6:] for each in problem.related] == ["a.yaml"]
    missing = loaded(tmp_path, "[a.yaml, b.yaml, no.yaml]").problems
    assert [each.code for each in missing] == ["R015", "R001"], "whatever else is missing"


def test_what_is_not_a_list_cannot_be_added_to_one(tmp_path: Path):
    found = with_own(tmp_path, OWN, a=GATEWAYS + MEDIA, b="notify: {url: {env: A}}\ngates: []\n")
    told = rendered(found.problems)
    assert (
        "b.yaml:1:1: error[R015] `notify` is not a list | help: write a list of addresses" in told
    )
    assert "b.yaml:2:1: error[R015] `gates` is not a mapping" in told


def test_limits_for_several_manifests_need_not_match_in_each(tmp_path: Path):
    limits = "destinations: {'tel:+44*': {in_flight: 1}}\n"
    assert with_own(tmp_path, "", a=GATEWAYS + MEDIA + limits).problems == ()
    [problem] = with_own(tmp_path, limits, a=GATEWAYS + MEDIA).problems
    assert problem.code == "R016"


def test_a_plan_is_held_to_included_files_too(tmp_path: Path):
    digests = set()
    for kbps in (64, 64, 65):
        text = GATEWAYS.replace("64", str(kbps)) + MEDIA
        manifest = loaded(tmp_path, "a.yaml", a=text).manifest
        assert manifest is not None
        digests.add(manifest.sha256)
    assert len(digests) == 2


@pytest.mark.parametrize("include", ["no-such.yaml", "[a.yaml, no-such.yaml]"])
def test_a_missing_file_causes_no_further_problems(include: str, tmp_path: Path):
    found = loaded(tmp_path, include, a="callbacks: {}\n")
    [problem] = found.problems
    assert (problem.code, problem.place.line) == ("R015", 4)
    assert "`no-such.yaml` does not exist" in problem.message


@pytest.mark.parametrize("include", ["5", "[]", "[1]", "''"])
def test_what_is_not_a_file_is_the_schemas_matter(include: str, tmp_path: Path):
    codes = {problem.code for problem in loaded(tmp_path, include).problems}
    assert any(code.startswith(("S", "R015")) for code in codes)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path):
    folder = tmp_path / "batch"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(GATEWAYS + MEDIA)
    (folder / "a.yaml").symlink_to(tmp_path / "outside.yaml")
    [problem] = loaded(folder, "a.yaml").problems
    assert "outside the manifest's folder" in problem.message


def test_a_secret_in_an_included_file_is_hidden(tmp_path: Path):
    text = "callbacks: {crm: {url: 'https://a.example/', secret: hunter2, secrte: 5}}\n"
    found = loaded(tmp_path, "a.yaml", a=GATEWAYS + MEDIA + text)
    assert found.problems
    assert all(problem.hide for problem in found.problems)
    assert "hunter2" not in rendered(found.problems)


def test_files_include_each_other_only_once(tmp_path: Path):
    found = loaded(
        tmp_path, "a.yaml", a="include: b.yaml\n" + GATEWAYS, b="include: a.yaml\n" + MEDIA
    )
    [problem] = found.problems
    assert problem.place.file.endswith("b.yaml")
    assert "`a.yaml` includes itself in the end" in problem.message
