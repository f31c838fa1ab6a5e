"""What runs beside a batch may fail: the run ends in order, with the failure as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.app.journal_checkpoint import Checkpoints
from runner.app.run_batch import PlannedBatch, run_batch
from runner.app.signals import Signals
from runner.core.errors import StorageError
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Environment, GatewayConstraints, Limits, Manifest, Policy
from runner.core.records.run_record import PlanFigures
from runner.core.transfer.states import Event
from runner.engine.run_spec import RunEnd
from runner.gateways.interaction_transfer.spec import SPEC
from runner.journal.sqlite.store import Store
from runner.journals import journal_at
from runner.ports import Notification
from runner.ports.control import Control
from runner.staging.rows import Staging
from runner.testing.observer import RecordingObserver
from tests.journal.builders import ORIGIN, begun, located, manifest_rows

MANIFEST = Manifest(
    path="m.yaml",
    sha256="a" * 64,
    name="night",
    environment=Environment("production", SPEC, "edge"),
    gateway=GatewayConstraints("edge", 1000, ("opus",), 30),
    callbacks={},
    policy=Policy(),
)
NOTHING_TO_SEND = PlanFigures(0, 0, 0, 0, None)


class StoreThatKeepsNoCallbacks(Store):
    """Fails when a callback is settled."""

    def settle_callback(self, webhook_id: str, **_settled: Any) -> None:
        """Fail."""
        raise StorageError(f"the disk is full at {webhook_id}")


def no_control(_group: str | None) -> Control:
    raise StorageError("no commands here")


@contextmanager
def planned(folder: Path) -> Iterator[PlannedBatch]:
    """Yield a batch without transfers, in a journal that owes a callback of an earlier run."""
    path = folder / "journal.db"
    journal = journal_at(located(path))
    store = StoreThatKeepsNoCallbacks(path, environment="production", origin=ORIGIN)
    try:
        owing = begun(store, manifest_rows(1, callbacks=("crm",))).life("k0")
        owed = Notification("msg_1", "crm", "transferred", '{"outcome": "transferred"}')
        store.record([owing.intent()])
        store.record([owing.answer(Event.ACCEPTED)._replace(notifications=(owed,))])
        run = begun(store, [])
        with journal.open_history() as history, Staging() as staging:
            yield PlannedBatch(
                run_id=run.store.run_id,
                manifest=MANIFEST,
                limits=Limits(),
                plan=NOTHING_TO_SEND,
                staging=staging,
                store=store,
                history=history,
                checkpoints=Checkpoints(journal, None, folder, MANIFEST),
                open_control=no_control,
            )
    finally:
        store.close()


def end_of(batch: PlannedBatch) -> RunEnd:
    return asyncio.run(run_batch(batch, RecordingObserver(), Signals()))


def test_a_journal_that_fails_under_a_callback_ends_the_run_with_storage(tmp_path: Path):
    with planned(tmp_path) as batch:
        end = end_of(batch)
    assert end.halted is ExitCode.STORAGE
    assert end.explanation == "the disk is full at msg_1"
    assert isinstance(end.error, StorageError)


def test_what_fails_before_the_first_frame_is_reported_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with planned(tmp_path) as batch:
        end = end_of(replace(batch, plan=replace(NOTHING_TO_SEND, send=1)))
    assert end.halted is ExitCode.STORAGE
    assert str(end.explanation).startswith("the variable SSL_CERT_FILE names")
    assert isinstance(end.error, StorageError)
