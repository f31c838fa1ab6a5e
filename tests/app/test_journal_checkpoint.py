"""What a host remembers of a database's journal, and what a person's word covers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runner.app.journal_checkpoint import Checkpoints
from runner.core.errors import StorageError
from runner.core.manifest.model import Manifest
from runner.core.transfer.states import Event
from runner.journal.gateway_registry import FileGatewayEntry
from runner.journal.sqlite.store import Store
from runner.journals import journal_at
from runner.ports.history import NO_PROVENANCE, Provenance
from runner.ports.journal_access import KnownHistory
from tests.journal.builders import ORIGIN, begun, located, manifest_rows

HEAD = "a" * 64
SYSTEM = "7391"


@dataclass
class Chain:
    """A journal's chain as it is now; it has the head that the host saw, or not."""

    found: Provenance
    heads: set[str] = field(default_factory=set)
    lineage_id: str = "lineage"

    def has_event(self, seq: int, head: str) -> bool:
        return seq == 0 or head in self.heads

    def waived(self) -> frozenset[str]:
        return frozenset()

    def provenance(self) -> Provenance:
        return self.found


@dataclass
class Host:
    """A host with a registry and a report folder."""

    folder: Path

    def saw(self, *, server: str = "", adoption: str = "") -> None:
        known = KnownHistory("wss://gw", "/gone.db", "lineage", "run-1", 9, HEAD, server, adoption)
        self.entry.make_folder()
        self.entry.write(known)
        seen: dict[str, Any] = {
            "run": "run-1", "environment": "eu", "at": 0.0, "journal": "/gone.db",
            "lineage": "lineage", "seq": 9, "head": HEAD, "adoption": adoption,
        }  # fmt: skip
        run = self.folder / "reports" / "night" / "run-1"
        run.mkdir(parents=True)
        (run / "journal.json").write_text(json.dumps(seen))

    @property
    def entry(self) -> FileGatewayEntry:
        return FileGatewayEntry(self.folder, "wss://gw", "account")

    def check(self, chain: Chain) -> None:
        manifest = SimpleNamespace(name="night", environment=SimpleNamespace(name="eu"))
        checkpoints = Checkpoints(
            journal_at(located(self.folder / "x.db")),
            self.entry,
            self.folder / "reports",
            cast("Manifest", manifest),
        )
        checkpoints.check(chain)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_old_server_that_is_back_is_refused_whatever_it_holds(host: Host):
    host.saw(server=f"{SYSTEM}/2")
    for timeline in (2, 3):
        host.check(Chain(Provenance(f"{SYSTEM}/{timeline}"), {HEAD}))
    with pytest.raises(StorageError, match="an old server that is back"):
        host.check(Chain(Provenance(f"{SYSTEM}/1"), {HEAD}))


def test_a_database_that_lacks_what_the_host_saw_is_to_be_adopted(host: Host):
    host.saw(server=f"{SYSTEM}/1")
    with pytest.raises(StorageError, match="runner journal adopt"):
        host.check(Chain(Provenance(f"{SYSTEM}/1")))


def test_a_file_that_lacks_it_needs_the_option(host: Host):
    host.saw()
    with pytest.raises(StorageError, match="apply with --new-history"):
        host.check(Chain(NO_PROVENANCE))


def test_a_persons_word_covers_what_the_host_saw_before_it(host: Host):
    host.saw(server=f"{SYSTEM}/2", adoption="first")
    host.check(Chain(Provenance(f"{SYSTEM}/1", ("first", "second"))))


@pytest.mark.parametrize("adoptions", [("first",), ("other",)])
def test_and_nothing_that_it_saw_since(host: Host, adoptions: tuple[str, ...]):
    host.saw(server=f"{SYSTEM}/1", adoption="first")
    with pytest.raises(StorageError, match="restored from a copy"):
        host.check(Chain(Provenance(f"{SYSTEM}/1", adoptions)))


def test_what_only_databases_have_is_not_written_for_a_file(host: Host):
    host.saw()
    assert {"server", "adoption"}.isdisjoint(json.loads(host.entry.path.read_text()))


@pytest.mark.parametrize("named", ["first", "second"])
def test_if_registry_and_reports_name_two_journals_there_is_one_way_out(host: Host, named: str):
    """Whichever of the two is named, the message does not lead to the other, which is refused too."""
    host.saw()  # in the first one
    path = host.folder / "second.db"
    with closing(Store(path, environment="eu", origin=ORIGIN)) as store:
        begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
        host.entry.write(
            KnownHistory("wss://gw", str(path), store.lineage_id, "run-2", store.seq, store.head)
        )
        second = Chain(NO_PROVENANCE, {store.head}, store.lineage_id)
    with pytest.raises(StorageError, match="is in two journals") as caught:
        host.check({"first": Chain(NO_PROVENANCE, {HEAD}), "second": second}[named])
    assert str(caught.value).endswith(f"apply once with --journal {path} --new-history")


def test_a_registered_journal_that_moved_nobody_gives_way_to_the_batchs_own(host: Host):
    host.saw()
    path = host.folder / "second.db"
    with closing(Store(path, environment="eu", origin=ORIGIN)) as store:
        host.entry.write(
            KnownHistory("wss://gw", str(path), store.lineage_id, "run-2", store.seq, store.head)
        )
    host.check(Chain(NO_PROVENANCE, {HEAD}))


def as_link_to_itself(batch: Path) -> None:
    (batch / "run-1" / "journal.json").unlink()
    (batch / "run-1").rmdir()
    batch.rmdir()
    batch.symlink_to(batch.name)


def as_pipe(batch: Path) -> None:
    (batch / "run-1" / "journal.json").unlink()
    os.mkfifo(batch / "run-1" / "journal.json")


def with_text(batch: Path) -> None:
    path = batch / "run-1" / "journal.json"
    path.write_text(path.read_text().replace('"seq": 9', '"seq": "9"'))


@pytest.mark.parametrize("spoil", [as_link_to_itself, as_pipe, with_text])
def test_what_cannot_be_read_is_no_run_that_left_nothing(host: Host, spoil: Callable[[Path], None]):
    host.saw()
    spoil(host.folder / "reports" / "night")
    with pytest.raises(StorageError, match="it is unknown whether the journal is whole"):
        host.check(Chain(NO_PROVENANCE, {HEAD}))


def test_a_folder_without_a_runs_word_is_passed_over(host: Host):
    host.saw()
    (host.folder / "reports" / "night" / "plan-1").mkdir()
    (host.folder / "reports" / "night" / "latest").symlink_to("run-1")
    host.check(Chain(NO_PROVENANCE, {HEAD}))
