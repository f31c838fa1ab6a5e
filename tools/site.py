"""Puts the pages of the documentation's site together: `make docs` (mkdocs.yml has their order).

The pages of docs/ are copied; README.md and ARCHITECTURE.md become pages. The reference of commands, fields
and exit codes is made from the program. A link to a file that is no page becomes its path in the repository.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

from typer.main import get_command

from runner.cli.app import command_line
from runner.core.exit_code import ExitCode
from runner.schemas_lookup import schema_text
from tools.diagram import diagram, transitions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OUT = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
WORKER = Path(__file__).with_name("frame_worker.js")
FOREIGN_WORKER = "https://unpkg.com/iframe-worker/shim"
"""What the generator would load from elsewhere, so that the search works from a disk."""

PAGES = {"README.md": "index.md", "ARCHITECTURE.md": "architecture.md"}
"""Pages that lie elsewhere in the repository."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_NAMED = re.compile(r"^( *```\w+) ([\w.-]+)$", re.MULTILINE)
"""A block with the name of its file, which the site's generator wants to be a title."""

_CODE = re.compile(r"^```.*?^```|^ +```.*?^ +```|`[^`\n]+`", re.DOTALL | re.MULTILINE)


_SESSION = re.compile(
    r'<div class="highlight">(?:<span class="filename">[^<]*</span>)?<pre>((?:(?!</pre>).)*<span class="gp">.*?)</pre>',
    re.DOTALL,
)
"""A terminal's session in a built page: the highlighter marks its prompts."""

_PROMPT = "$ "


def write(out: Path) -> None:
    """Write all pages below `out`, from nothing."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(DOCS, out)
    for source, page in PAGES.items():
        (out / page).write_text((ROOT / source).read_text("utf-8"), encoding="utf-8")
    origins = {page: source for source, page in PAGES.items()}
    pages = {f"docs/{path.relative_to(out)}" for path in out.rglob("*") if path.is_file()}
    for path in out.rglob("*.md"):
        page = path.relative_to(out).as_posix()
        origin = origins.get(page, f"docs/{page}")
        text = path.read_text("utf-8").replace(diagram(), transitions())
        text = with_links(text, origin, page, pages)
        path.write_text(_NAMED.sub(r'\1 title="\2"', text), encoding="utf-8")
    reference = out / "reference"
    reference.mkdir()
    for name, lines in (
        ("commands", commands_page()),
        ("manifest-fields", fields_page(json.loads(schema_text("manifest.v1")))),
        ("exit-codes", exit_codes_page()),
    ):
        (reference / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def finish(site: Path) -> None:
    """Let the built site load nothing from elsewhere. Raises `ValueError` if it would."""
    shutil.copy(WORKER, site / "assets" / WORKER.name)
    for path in site.rglob("*.html"):
        own = posixpath.relpath(f"assets/{WORKER.name}", path.parent.relative_to(site).as_posix())
        text = path.read_text("utf-8").replace(FOREIGN_WORKER, own)
        if foreign := re.search(
            r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"https?:[^>]*>", text
        ):
            raise ValueError(f"{path}: loads from elsewhere: {foreign[0]}")
        path.write_text(with_commands_to_copy(text), encoding="utf-8")


def with_commands_to_copy(page: str) -> str:
    """Return a built page whose copy buttons copy a session's commands: no prompts, no output."""

    def marked(found: re.Match[str]) -> str:
        lines = unescape(re.sub(r"<[^>]*>", "", found[1])).splitlines()
        commands: list[str] = []
        goes_on = False
        for line in lines:
            if goes_on or line.startswith(_PROMPT):
                commands.append(line if goes_on else line.removeprefix(_PROMPT))
                goes_on = line.endswith("\\")
        copied = escape("\n".join(commands), quote=True)
        return found[0].replace(
            '<div class="highlight"', f'<div class="highlight" data-copy="{copied}"'
        )

    return _SESSION.sub(marked, page)


def with_links(text: str, origin: str, page: str, pages: set[str]) -> str:
    """Return a page's text with links as they are in the site.

    `origin` is its path in the repository, `page` its path in the site; `pages` has the repository's
    paths of all files of docs/.
    """

    def link(found: re.Match[str]) -> str:
        image, shown, target = found.groups()
        address, _, anchor = target.partition("#")
        if not address or ":" in address:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), address))
        if path in PAGES:
            there = PAGES[path]
        elif path in pages:
            there = path.removeprefix("docs/")
        else:
            return f"{shown} (`{path}`)" if shown.strip("`") != path else shown
        relative = posixpath.relpath(there, posixpath.dirname(page) or ".")
        return f"{image}[{shown}]({relative}{'#' if anchor else ''}{anchor})"

    parts, end = [], 0
    for code in _CODE.finditer(text):
        if code[0].startswith("`") and not code[0].startswith("```"):
            continue  # a link's text may be code
        parts += [_LINK.sub(link, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(link, text[end:])])


def commands_page() -> Iterator[str]:
    """Yield the reference of commands, as their help has it."""
    yield "# Commands"
    yield ""
    yield "Made from the program's own help. An option can be given by its variable instead."
    yield from _of_group(get_command(command_line()), "runner")


def _of_group(group: Any, above: str) -> Iterator[str]:
    for name, command in group.commands.items():
        path = f"{above} {name}"
        if hasattr(command, "commands"):
            yield from _of_group(command, path)
            continue
        yield from ("", f"## {path}", "", _prose(command.help or ""), "")
        yield from ("| argument or option | variable | meaning |", "| --- | --- | --- |")
        for each in command.params:
            spelt = ", ".join(each.opts) if each.param_type_name == "option" else each.metavar
            value = each.metavar if each.param_type_name == "option" and each.metavar else ""
            variable = f"`{each.envvar}`" if isinstance(each.envvar, str) else ""
            spelling = _cell(f"{spelt or each.name} {value}".strip())
            yield f"| `{spelling}` | {variable} | {_cell(_prose(each.help or ''))} |"


def fields_page(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the reference of the manifest's fields, as the schema describes them."""
    yield "# Manifest fields"
    yield ""
    yield "Made from the manifest's schema, which editors show while you write."
    yield from _of_object("The manifest", schema)
    for name, part in schema["$defs"].items():
        if "properties" in part:
            yield from _of_object(str(part.get("title", name)), part)


def _of_object(title: str, part: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    if "description" in part and title != "The manifest":
        yield from (_prose(part["description"]), "")
    yield from ("| field | meaning | example |", "| --- | --- | --- |")
    required = set(part.get("required", ()))
    for name, field in part["properties"].items():
        examples = field.get("examples", ())
        example = f"`{_cell(json.dumps(examples[0], ensure_ascii=False))}`" if examples else ""
        mark = " (required)" if name in required else ""
        yield f"| `{name}`{mark} | {_cell(_prose(field.get('description', '')))} | {example} |"


def exit_codes_page() -> Iterator[str]:
    """Yield the exit codes; README.md says when each comes and what to do."""
    table = re.search(
        r"^## Exit codes\n(.*?)^## ",
        (ROOT / "README.md").read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    if table is None:
        raise ValueError("README.md has no section `Exit codes`")
    yield "# Exit codes"
    yield table[1]
    yield "By number: " + ", ".join(f"{code.value} {code.outcome}" for code in ExitCode) + "."


def _prose(text: str) -> str:
    """Return text on one line, in which nothing is taken for HTML."""
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    if sys.argv[1:] == ["--finish"]:
        finish(SITE)
    else:
        write(OUT)
