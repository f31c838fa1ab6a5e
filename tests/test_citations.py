"""Every document and section that the code cites exists in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT, ROOT / "docs", ROOT / "docs" / "design")
SOURCES = sorted(
    path
    for folder in ("runner", "tests", "tools", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
CITED = re.compile(r"(?<![\w/.\"'{}-])(?:docs/(?:design/)?)?([A-Za-z-]+\.md)\b(?!\")")
SECTION = re.compile(r'\s*,\s*((?:"[^"\n]+"(?:\s*(?:,|and|or)\s*)?)+)')
MADE_BY_RUNS = {"report.md", "step.md"}


@cache
def headings(name: str) -> set[str]:
    """Return the headings of all documents of a name, without their Markdown."""
    texts = [path.read_text("utf-8") for folder in FOLDERS if (path := folder / name).exists()]
    return {found for text in texts for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def cited_sections(source: str) -> Iterator[tuple[str, str]]:
    """Yield each document that a source names, and each section of it that it cites."""
    for found in CITED.finditer(source):
        section = SECTION.match(source, found.end())
        yield found[1], ""
        for title in re.findall(r'"([^"\n]+)"', section[1]) if section else ():
            yield found[1], title


@pytest.mark.parametrize(
    "text",
    [
        '"""Reads it (protocol.md, "Request" and "Reply")."""',
        '(see protocol.md, "Request", "Reply")',
    ],
)
def test_every_section_of_a_citation_is_seen(text: str) -> None:
    assert set(cited_sections(text)) == {
        ("protocol.md", ""),
        ("protocol.md", "Request"),
        ("protocol.md", "Reply"),
    }


def test_every_document_and_section_that_is_cited_exists() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {name}" + (f', "{title}"' if title else "")
        for path in SOURCES
        if path != Path(__file__)
        for name, title in cited_sections(path.read_text("utf-8"))
        if name not in MADE_BY_RUNS
        if not (found := headings(name)) or (title and title not in found)
    ]
    assert not missing, "\n".join(missing)


def test_the_design_documents_are_cited() -> None:
    """A contract that no code cites is not kept by anything."""
    cited = {name for path in SOURCES for name, _ in cited_sections(path.read_text("utf-8"))}
    assert {path.name for path in (ROOT / "docs" / "design").glob("*.md")} <= cited


def test_the_links_of_the_documents_lead_to_files_and_headings() -> None:
    for document in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "reports/README.md",
    ]:
        for link in re.findall(r"\]\(([^)\s:]+)\)", document.read_text("utf-8")):
            file, _, anchor = link.partition("#")
            target = document.parent / file if file else document
            assert target.exists(), f"{document.name} links to {link}"
            if anchor:
                anchors = {anchor_of(title) for title in headings(target.name)}
                assert anchor in anchors, f"{document.name} links to {link}"


def anchor_of(title: str) -> str:
    """Return a heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
