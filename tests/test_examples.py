"""Every manifest of the repository, and the one in its README, is valid as it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from runner.core.manifest.model import QueueSelection
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.manifest.load import DuplicateRows, Loaded, load

ROOT = Path(__file__).parents[1]
MANIFESTS = sorted((ROOT / "manifests").glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=../schemas/manifest.v1.schema.json"


class Rows:
    """Keeps the rows; finds repeats by sets."""

    def __init__(self) -> None:
        self.rows: list[TransferRow] = []
        self.selections: list[QueueSelection] = []

    def add_all(self, rows: RowColumns) -> None:
        for row in zip(*rows, strict=True):
            self.add(TransferRow(*row))

    def select(self, selection: QueueSelection) -> None:
        self.selections.append(selection)

    def add(self, row: TransferRow) -> None:
        self.rows.append(row)

    def protect(self, interaction_id: str, source: str) -> None:
        raise AssertionError((interaction_id, source))

    def destinations(self) -> list[str]:
        return [row.destination_uri for row in self.rows]

    def rows_to(self) -> Mapping[str, int]:
        return Counter(self.destinations())

    def repeats(self, limit: int) -> Sequence[DuplicateRows]:
        assert limit > 0
        assert len({row.key for row in self.rows}) == len(self.rows)
        assert len({row.interaction_id for row in self.rows}) == len(self.rows)
        return []


def loaded(path: Path, environment: str) -> tuple[Loaded, Rows]:
    rows = Rows()
    return load(path, environment=environment, sink=rows, offline=True), rows


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_each_can_be_rehearsed_without_an_account(path: Path) -> None:
    result, rows = loaded(path, "demo")

    assert result.problems == ()
    assert result.manifest is not None
    assert result.manifest.environment.is_simulated
    assert result.rows == len(rows.rows)
    assert rows.rows or rows.selections


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_each_names_its_schema_for_editors(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(MODELINE)


@pytest.mark.parametrize(("name", "transfers"), [("demo", 60), ("migration", 500)])
def test_the_number_of_transfers_is_the_documented_one(name: str, transfers: int) -> None:
    result, _ = loaded(ROOT / "manifests" / f"{name}.yaml", "demo")

    assert result.rows == transfers


def test_the_migration_is_sound_for_production_once_its_secrets_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GENESYS_CLIENT_ID", "id")
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", "secret")
    monkeypatch.setenv("CRM_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    result, _ = loaded(ROOT / "manifests" / "migration.yaml", "production")

    assert result.problems == ()


def test_the_manifest_in_the_readme_is_sound(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (tmp_path / "billing-cutover.yaml").write_text(example, encoding="utf-8")
    (tmp_path / "billing.csv").write_text("conversationId,target\na-1,genesys://queue/b\n")
    result, rows = loaded(tmp_path / "billing-cutover.yaml", "demo")

    assert result.problems == ()
    assert [row.key for row in rows.rows] == ["vip-17", "a-1"]


def test_the_files_that_the_documents_name_exist() -> None:
    for document in ROOT.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{document.name} names {link}"
