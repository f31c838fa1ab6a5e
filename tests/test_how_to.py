"""The how-to guides work as they are typed: each block, in order, against gateways on loopback.

A block with a title is that file. A line of an `sh` block is run as a reader would; one that ends
in `&` goes on beside the others. The addresses of examples lead to a gateway and a database of
the tests; the vendor's platform is the one that the guide rehearses with.
"""

from __future__ import annotations

import re
import shlex
import signal
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from tests.e2e.harness import PATIENCE_S, Ended, Process, manifest, run, started, transfer
from tests.foreign.gateway import CLIENT_ID, CLIENT_SECRET, Gateway
from tests.foreign.script import MUTE
from tests.postgres_server import fresh_database

HOW_TO = Path(__file__).parents[1] / "docs" / "how-to"
BLOCK = re.compile(
    r"^( *)```(\w+)(?: title=\"([\w.-]+)\")?\n(.*?)^ *```$", re.DOTALL | re.MULTILINE
)
DATABASE = "postgresql://db.example.net/transfers"
WAITS_FOR = ("control", "status", "revert")
"""Commands that a reader gives once there is something to see or to answer, or a run has ended."""

pages = pytest.mark.parametrize("page", sorted(HOW_TO.glob("*.md")), ids=lambda page: page.stem)


class Reader:
    """Types what a guide says, in a folder of its own."""

    def __init__(self, folder: Path, gateway: Gateway, page: Path, beside: ExitStack) -> None:
        self._folder = folder
        self._gateway = gateway
        self._page = page
        self._beside = beside
        self._database: str | None = None
        self._processes: list[tuple[str, Process]] = []
        self._env: dict[str, str] = {}
        self._secrets = {"GENESYS_CLIENT_ID": CLIENT_ID, "GENESYS_CLIENT_SECRET": CLIENT_SECRET}

    def read(self, block: re.Match[str]) -> None:
        """Write the file that a block shows, or type its lines."""
        _, kind, title, text = block.groups()
        text = self._placed(textwrap.dedent(text))
        if title is not None:
            (self._folder / title).write_text(text)
        elif kind == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                self._type(line)

    def end(self) -> None:
        """Wait for what goes on beside; a worker is told to end."""
        for line, process in self._processes:
            if line.startswith("runner worker"):
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE_S) == 0, line

    def _placed(self, text: str) -> str:
        """Return a text with addresses that are on loopback."""
        if DATABASE in text:
            self._database = self._database or fresh_database(journal=False)
            text = text.replace(DATABASE, self._database)
        for example, here in (
            ("https://login.example.net/oauth/token", self._gateway.token_url),
            ("wss://api.example.net/api/v2/websocket", self._gateway.websocket_url),
            ("https://api.example.net", self._gateway.api_url),
        ):
            text = text.replace(example, here)
        if "platform: genesys-cloud" in self._page.read_text("utf-8"):
            text = text.replace("--env production", "--env rehearsal")
        return text

    def _type(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            for word in words[1:]:
                name, _, value = word.partition("=")
                self._env[name] = self._secrets.get(name, value)
            return
        assert words.pop(0) == "runner", line
        if words[-1:] == ["&"]:
            process = started(*words[:-1], cwd=self._folder, env=self._env)
            self._processes.append((line, self._beside.enter_context(process)))
            return
        ended = next(ended for ended in self._tries(words) if ended.code not in {1, 2, 4})
        assert ended.code == self._expected(words), (line, ended)

    def _expected(self, words: list[str]) -> int:
        return 6 if self._page.stem == "in-doubt" and words[0] == "apply" else 0

    def _tries(self, words: list[str]) -> Iterator[Ended]:
        """Yield the ends of a command, which is given again where a reader would wait first."""
        patience = 200 if words[0] in WAITS_FOR and self._processes else 1
        for _ in range(patience):
            yield (ended := run(*words, cwd=self._folder, env=self._env))
        raise AssertionError((words, ended))


@pages
def test_a_guide_works_as_it_is_typed(page: Path):
    with TemporaryDirectory(prefix="guide-") as folder:  # short: a socket's path has few bytes
        walk(page, Path(folder))


def walk(page: Path, folder: Path) -> None:
    """Read a guide from its beginning to its end."""
    blocks = list(BLOCK.finditer(page.read_text("utf-8")))
    assert any(block[2] == "sh" for block in blocks)
    with Gateway() as gateway, ExitStack() as beside:
        gateway.scripts["i-17"] = [MUTE] * 9  # of the reader's own manifest: it stays in doubt
        own = manifest(gateway, [transfer("i-17", key="vip-17")])
        own["policy"]["negotiation_timeout"] = "100ms"
        (folder / "manifest.yaml").write_text(yaml.safe_dump(own))
        reader = Reader(folder, gateway, page, beside)
        for block in blocks:
            reader.read(block)
        reader.end()


@pages
def test_every_fence_of_a_guide_is_understood(page: Path):
    text = page.read_text("utf-8")
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(BLOCK.findall(text))
