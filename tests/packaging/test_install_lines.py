"""What documents and messages tell people to install is this program, with extras that it has."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
THIS = Path(__file__).relative_to(ROOT)

_EXTRA = re.compile(r"(?<![\w.])(?P<name>[\w.-]*runner|\.)\[(?P<extra>\w+)\]")
"""A requirement with an extra, such as `.[fleet]`."""
_INSTALLED = re.compile(
    r"(?:pip|pipx|uv tool) install (?:-[\w-]+ )*'?(?P<name>[\w.-]*runner)\b(?!/)"
)
_DISTRIBUTION_FILE = re.compile(r"dist/(?P<name>\w*runner)-\S*(?:\.whl|\.tar\.gz)")


def tracked() -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = [Path(each) for each in listed.stdout.split("\0") if each]
    binary = {".png", ".gz", ".db", ".woff2", ".ico"}
    return {
        str(each): (ROOT / each).read_text("utf-8", errors="replace")
        for each in paths
        if each != THIS and each.suffix not in binary and (ROOT / each).is_file()
    }


def test_every_install_line_names_this_distribution_and_its_extras():
    assert PROJECT["name"] != "runner", "that is another project's name on the package index"
    extras = set(PROJECT["optional-dependencies"])
    seen, wrong = set(), []
    for path, text in tracked().items():
        for found in _EXTRA.finditer(text):
            seen.add(found["extra"])
            if found["name"] not in {".", PROJECT["name"]} or found["extra"] not in extras:
                wrong.append(f"{path}: {found[0]}")
        wrong += [
            f"{path}: {found[0]}"
            for found in _INSTALLED.finditer(text)
            if found["name"] != PROJECT["name"]
            and "another project" not in text[found.end() :][:40]
        ]
    assert wrong == []
    assert seen == extras, "each extra is named somewhere"


def test_every_file_of_a_build_is_named_as_it_is_built():
    built = PROJECT["name"].replace("-", "_")
    named = {
        (path, found["name"])
        for path, text in tracked().items()
        for found in _DISTRIBUTION_FILE.finditer(text)
    }
    assert {name for _, name in named} == {built}
    assert {"README.md", "Containerfile", ".containerignore"} <= {path for path, _ in named}


def test_httpx_stays_below_the_interface_that_replaces_it():
    [httpx] = [each for each in map(Requirement, PROJECT["dependencies"]) if each.name == "httpx"]
    [pinned] = re.findall(r"^httpx==(\S+)", tracked()["requirements/run.txt"], re.MULTILINE)
    assert httpx.specifier.contains(pinned)
    assert not httpx.specifier.contains("1.0")
