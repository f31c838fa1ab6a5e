"""Where a command finds the journal: named, beside the manifest, or in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.app.find_journal import JournalOptions, find_journal
from runner.core.errors import ManifestInvalid, UsageError
from runner.core.journal_location import JournalLocation
from runner.journals import every_journal, journal_at, place_of_journals
from tests.journal.builders import located, opened

EXAMPLE = Path(__file__).parents[2] / "manifests" / "migration.yaml"


def test_a_named_journal_is_taken_as_it_is():
    assert find_journal(JournalOptions(located(Path("x.db")), EXAMPLE, "demo")) == located(
        Path("x.db")
    )


def test_a_command_for_all_runs_stays_with_the_journal_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another batch goes on in this folder: it is not the one to be paused."""
    monkeypatch.chdir(tmp_path)
    beside, named = tmp_path / ".runner" / "demo.db", tmp_path / "named.db"
    for path in (beside, named):
        path.parent.mkdir(exist_ok=True)
        opened(path)
    assert [str(each) for each in every_journal(None, None)] == [".runner/demo.db"]
    assert every_journal(located(named), None) == [located(named)]
    assert place_of_journals(located(named), None) == str(named)


def test_a_manifest_gives_folder_and_environment(tmp_path: Path):
    """Its transfers are not read: a list that is missing by now hides no history."""
    manifest = tmp_path / "migration.yaml"
    manifest.write_text(EXAMPLE.read_text())
    folder = tmp_path / ".runner"
    assert find_journal(JournalOptions(manifest=manifest)) == located(folder / "production.db")
    demo = JournalOptions(manifest=manifest, environment="demo")
    assert find_journal(demo) == located(folder / "demo.db")


def test_an_environment_without_a_journal_is_told_which_ones_have_one(tmp_path: Path):
    """`apply --env demo` was run: without `--env`, the manifest's own environment has no journal."""
    manifest = tmp_path / "migration.yaml"
    manifest.write_text(EXAMPLE.read_text())
    (tmp_path / ".runner").mkdir()
    (tmp_path / ".runner" / "demo.db").touch()
    with pytest.raises(UsageError, match=r"environment production has no .*; .*add --env demo$"):
        find_journal(JournalOptions(manifest=manifest))
    demo = JournalOptions(manifest=manifest, environment="demo")
    assert find_journal(demo) == located(tmp_path / ".runner" / "demo.db")
    (tmp_path / ".runner" / "production.db").touch()
    assert find_journal(JournalOptions(manifest=manifest)).text.endswith("production.db")


@pytest.mark.parametrize(
    ("manifest", "environment", "told"),
    [(EXAMPLE, "productoin", "did you mean `production`"), (Path("nowhere.yaml"), None, "")],
)
def test_a_manifest_that_does_not_tell_is_invalid(
    manifest: Path, environment: str | None, told: str
):
    with pytest.raises(ManifestInvalid) as caught:
        find_journal(JournalOptions(manifest=manifest, environment=environment))
    assert told in caught.value.problems[0].help


def test_without_a_word_the_only_journal_of_the_folder_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=r"there is no journal in .*--journal FILE.*--manifest FILE"
    ):
        find_journal(JournalOptions())
    Path(".runner").mkdir()
    Path(".runner/demo.db").touch()
    assert find_journal(JournalOptions()) == located(Path(".runner/demo.db"))
    Path(".runner/production.db").touch()
    with pytest.raises(UsageError, match="choose with --env, of: demo, production"):
        find_journal(JournalOptions())
    assert find_journal(JournalOptions(environment="demo")) == located(Path(".runner/demo.db"))


def test_a_url_of_an_unknown_database_is_no_file():
    """Taken for a file, it would be a new journal, by which everybody is moved again."""
    with pytest.raises(UsageError, match=r"mysql://h/db is a URL of an unknown database"):
        find_journal(JournalOptions(JournalLocation("mysql://h/db")))


@pytest.mark.parametrize(
    "text",
    [
        "Postgresql://h/db",
        "POSTGRESQL:///db",
        " postgresql://h/db",
        "postgresql:/h/db",
        "'postgresql://h/db'",
    ],
)
def test_a_misspelt_url_of_a_database_is_no_file(text: str):
    with pytest.raises(UsageError, match="is no URL"):
        journal_at(JournalLocation(text))


def test_a_file_may_have_a_colon_in_its_path():
    assert str(journal_at(JournalLocation("c:/x.db")).location) == "c:/x.db"
    assert str(journal_at(JournalLocation("a:b/x.db")).location) == "a:b/x.db"


@pytest.mark.parametrize("text", ["", " "])
def test_a_name_that_is_empty_is_no_file(text: str):
    with pytest.raises(UsageError, match="is empty"):
        journal_at(JournalLocation(text))
