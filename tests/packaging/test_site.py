"""The documentation's site: its links, its generated reference, and the tutorial that a reader types."""

from __future__ import annotations

import re
import shlex
from html import unescape
from pathlib import Path

import pytest
import yaml

from runner.cli.app import COMMANDS
from runner.core.exit_code import ExitCode
from tests.e2e.harness import run
from tools import site

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "docs"
    site.write(out)
    return out


def test_the_tutorial_works_as_it_is_typed(tmp_path: Path):
    typed = re.findall(r"^\$ (runner .*)$", TUTORIAL, re.MULTILINE)
    assert len(typed) > 8
    shown = ""
    for line in typed:
        ended = run(*shlex.split(line)[1:], cwd=tmp_path)
        assert ended.code == 0, (line, ended)
        shown += ended.out
    assert "unchanged    1" in shown
    assert (tmp_path / "moves.csv").is_file()


def test_each_page_has_its_place_in_the_order(pages: Path):
    def listed(entries: list[object]) -> list[str]:
        found = []
        for entry in entries:
            for value in entry.values() if isinstance(entry, dict) else [entry]:
                found += listed(value) if isinstance(value, list) else [str(value)]
        return found

    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    made = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert sorted(listed(config["nav"])) == sorted(made)


def test_no_link_leads_nowhere(pages: Path):
    for page in pages.rglob("*.md"):
        for target in re.findall(r"\]\(([^()\s#]+)(?:#[^()\s]*)?\)", page.read_text("utf-8")):
            if ":" not in target:
                assert (page.parent / target).exists(), (page.name, target)


def test_the_reference_has_all_commands_fields_and_codes(pages: Path):
    commands = (pages / "reference" / "commands.md").read_text("utf-8")
    for name, listed in COMMANDS.items():
        path = f"{listed.group} {name}" if listed.group else name
        assert f"\n## runner {path}\n" in commands
    fields = (pages / "reference" / "manifest-fields.md").read_text("utf-8")
    assert "| `transfers` (required) |" in fields
    codes = (pages / "reference" / "exit-codes.md").read_text("utf-8")
    assert all(f"{code.value} {code.outcome}" in codes for code in ExitCode)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[a](design/cli.md#streams)", "[a](design/cli.md#streams)"),
        ("[the schema](../schemas/x.json)", "the schema (`schemas/x.json`)"),
        ("[Inside](../ARCHITECTURE.md)", f"[Inside]({site.PAGES['ARCHITECTURE.md']})"),
        ("[out](https://example.net/a)", "[out](https://example.net/a)"),
        ("```\n[a](drivers.md)\n```", "```\n[a](drivers.md)\n```"),
    ],
)
def test_a_link_is_as_it_is_in_the_site(written: str, shown: str):
    assert site.with_links(written, "docs/page.md", "page.md", {"docs/design/cli.md"}) == shown


def test_each_block_opens_as_the_sites_generator_reads_it(pages: Path):
    """It takes a language and a title; a block that opens otherwise would swallow what follows."""
    opens = re.compile(r'^ *```(?:\w+(?: title="[^"]+")?)?$')
    for page in pages.rglob("*.md"):
        fences = re.findall(r"^ *```.*$", page.read_text("utf-8"), re.MULTILINE)
        assert [line for line in fences if not opens.match(line)] == [], page.name


def test_no_page_shows_the_source_of_a_diagram(pages: Path):
    for page in pages.rglob("*.md"):
        assert "```mermaid" not in page.read_text("utf-8"), page.name
    assert "| ready | intent | sending |" in (pages / "architecture.md").read_text("utf-8")


def test_what_is_copied_of_a_session_are_its_commands():
    session = (
        '<div class="highlight"><pre><span></span><code><span class="gp">$ </span>runner plan <span class="se">\\'
        '\n</span>  a.yaml &amp;&amp; echo <span class="s2">&quot;ok&quot;</span>\n'
        '<span class="go">60 to send</span>\n<span class="gp">$ </span>runner apply a.yaml\n</code></pre></div>'
    )
    other = '<div class="highlight"><pre><code>version: 1\n</code></pre></div>'
    copied = re.search(r'data-copy="([^"]*)"', site.with_commands_to_copy(other + session))
    assert copied is not None
    assert unescape(copied[1]) == 'runner plan \\\n  a.yaml && echo "ok"\nrunner apply a.yaml'
    assert site.with_commands_to_copy(other) == other
