"""`runner explain` is right: every example is tried."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runner.cli.app import command_line
from runner.console.diagnostics.explanations import (
    Explanation,
    explanations,
    render_codes,
    render_explanation,
    rules_document,
)
from runner.core.diagnostics.codes import CODES
from runner.manifest.yaml.source import MAX_BYTES
from tests.e2e.harness import PATIENCE_S
from tests.manifest.rendering import load_rows
from tests.signatures.openssh import needs_openssh
from tools.rules import DOCUMENT

SECTIONS = {
    "version": "version: 1\n",
    "name": "name: move-billing\n",
    "environment": "environment: rehearsal\n",
    "environments": "environments: {rehearsal: {driver: simulator, gateway: edge}}\n",
    "gateways": "gateways:\n"
    "  edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus, pcmu, vp8], max_fps: 30}\n",
    "media": "media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}\n",
    "defaults": "defaults: {media: voice}\n",
    "transfers": "transfers:\n"
    "  - {interaction_id: call-1, destination_uri: genesys://queue/billing}\n",
}
DECLARED = [each for each in explanations().values() if not each.wrong.startswith("$")]
TYPED = [
    pytest.param(each, marks=[needs_openssh] if "ssh-keygen" in each.right else [])
    for each in explanations().values()
    if each.wrong.startswith("$")
]


def completed(explanation: Explanation, example: str) -> str:
    """Return the manifest that an example stands for."""
    if explanation.whole:
        return example
    named = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    return "".join(text for name, text in SECTIONS.items() if name not in named) + example


def codes(
    folder: Path, explanation: Explanation, example: str, encoding: str = "utf-8"
) -> set[str]:
    for name, text in explanation.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    path = folder / "manifest.yaml"
    path.write_text(completed(explanation, example), encoding=encoding)
    if explanation.padded and example == explanation.wrong:
        with path.open("a", encoding="utf-8") as stream:
            stream.write("#" * MAX_BYTES)
    loaded, _ = load_rows(path)
    return {problem.code for problem in loaded.problems}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_CLIENT_ID", "id")
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", "secret")


def test_every_code_is_explained_and_no_other():
    assert explanations().keys() == CODES.keys()


@pytest.mark.parametrize("explanation", DECLARED, ids=lambda explanation: explanation.code)
def test_the_wrong_example_has_this_very_problem_and_the_right_one_none(
    explanation: Explanation, tmp_path: Path
):
    assert codes(tmp_path, explanation, explanation.wrong, explanation.encoding) == {
        explanation.code
    }
    assert codes(tmp_path, explanation, explanation.right) == set()


@pytest.mark.parametrize("explanation", TYPED, ids=lambda explanation: explanation.code)
def test_what_is_typed_ends_as_it_is_explained(explanation: Explanation, tmp_path: Path):
    for nth, (example, expected) in enumerate(
        [(explanation.wrong, {explanation.code}), (explanation.right, set())]
    ):
        folder = tmp_path / str(nth)
        folder.mkdir()
        (folder / "manifest.yaml").write_text("".join(SECTIONS.values()), encoding="utf-8")
        ended = typed(example, folder)
        assert set(re.findall(r"(?:error|warning)\[(\w+)\]", ended.stderr)) == expected
        assert ended.returncode == (3 if expected else 0), ended.stderr


def typed(session: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a session's lines into a shell; return how the last one ended."""
    for line in session.strip().splitlines():
        ended = subprocess.run(
            [
                "bash",
                "-c",
                line.removeprefix("$ ").replace("runner ", '"$0" -m runner ', 1),
                sys.executable,
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    return ended


def test_the_document_is_made_from_the_explanations():
    """`make rules` writes it."""
    assert DOCUMENT.read_text(encoding="utf-8") == rules_document()


@pytest.mark.parametrize(
    "explanation", explanations().values(), ids=lambda explanation: explanation.code
)
def test_an_explanation_gives_rule_reason_and_both_examples(explanation: Explanation):
    text = render_explanation(explanation)
    assert text.startswith(f"{explanation.code}: {explanation.rule}\n")
    assert "\nwrong:\n    " in text
    assert "\nright:\n    " in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert max(map(len, explanation.wrong.split("\n"))) <= 100


def test_all_codes_are_listed_with_their_rule():
    listed = render_codes()
    assert re.findall(r"^  (\w{4})  ", listed, re.MULTILINE) == list(explanations())


@pytest.mark.parametrize(
    ("asked", "code", "expected"),
    [
        (["r002"], 0, "R002: "),
        (["R002", "S001"], 0, "S001: "),
        ([], 0, "Y014"),
        (["R02"], 2, "did you mean R012?"),
        (["bandwidth"], 2, "unknown code 'bandwidth'"),
    ],
)
def test_a_code_is_explained_whatever_its_case_and_an_unknown_one_refused(
    asked: list[str], code: int, expected: str
):
    ended = CliRunner().invoke(command_line(), ["explain", *asked])
    assert ended.exit_code == code
    assert expected in ended.output
