"""A dump that was restored into the same cluster: refused, by a host that never saw the lane too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.journal.postgres.access import PostgresJournal
from runner.journal.postgres.administration import check
from runner.journal.postgres.adoption import adopt
from runner.journals import create_journal
from runner.ports.journal_access import Durability
from tests.journal.builders import note
from tests.journal.postgres.lanes import Clock, Database, use
from tests.postgres_server import binary, execute, fresh_database, url_of


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database(fresh_database(journal=False))
    create_journal(JournalLocation(made.url), Durability.SINGLE)
    with made.open:
        yield made


def run(program: str, database: str, *words: str | Path) -> None:
    # As a database's own programs are: what they cannot do they report, and go on.
    subprocess.run([binary(program), f"--dbname={database}", *words], check=True)


def dumped(database: Database, folder: Path) -> Path:
    file = folder / "dump"
    run("pg_dump", database.url, "--format=custom", f"--file={file}")
    return file


def clean(database: Database, dump: Path) -> str:
    run("pg_restore", database.url, "--clean", dump)
    return database.url


def data_only(database: Database, dump: Path) -> str:
    tables = execute(
        database.url, "SELECT string_agg(oid::regclass::text, ',') FROM pg_class"
        " WHERE relnamespace = 'runner'::regnamespace AND relkind = 'r'",
    )  # fmt: skip
    execute(database.url, f"TRUNCATE {tables[0][0]}")
    run("pg_restore", database.url, "--data-only", "--disable-triggers", dump)
    return database.url


def new_database(_: Database, dump: Path) -> str:
    url = fresh_database(journal=False)
    run("pg_restore", url, dump)
    return url


def same_name(database: Database, dump: Path) -> str:
    name = urlsplit(database.url).path[1:]
    execute("postgres", f"DROP DATABASE {name}")
    execute("postgres", f"CREATE DATABASE {name}")
    run("pg_restore", database.url, dump)
    return database.url


def statements(database: Database, dump: Path) -> str:
    """By psql, with an INSERT for each row."""
    url, file = fresh_database(journal=False), dump.with_suffix(".sql")
    run("pg_restore", url, dump)  # makes what the statements below find
    execute(url, "DROP SCHEMA runner CASCADE")
    run("pg_dump", database.url, "--inserts", f"--file={file}")
    run("psql", url, "--quiet", "--output=/dev/null", f"--file={file}")
    return url


def copied(database: Database, _: Path) -> str:
    return fresh_database(like=database.url)


WAYS = [clean, data_only, new_database, same_name, statements, copied]


@pytest.mark.parametrize("restore", WAYS)
def test_a_restored_dump_is_refused_until_a_person_accepts_it(
    database: Database, tmp_path: Path, restore: Callable[[Database, Path], str]
):
    use(database.journal)
    dump = dumped(database, tmp_path)
    url = restore(database, dump)
    journal = PostgresJournal(JournalLocation(f"{url}&lane=edge"))
    with pytest.raises(StorageError, match="a dump was restored") as refused:
        use(journal)
    assert "runner journal adopt" in str(refused.value)
    doubted = [each.what.partition(" is")[0] for each in check(journal.location) if not each.holds]
    assert doubted[-2:] == ["lane edge", "the journal"]
    with journal.open_history() as history:  # it is read, to be judged
        assert len(history.runs(9)) == 1
    adopt(JournalLocation(url), reason="seen to", by="ann@host", timeout_s=0.0)
    assert not [each for each in check(journal.location) if "is whole" in each.what]
    for _ in range(2):
        use(journal)


def test_a_lane_that_a_restored_dump_lacks_is_refused_too(database: Database, tmp_path: Path):
    dump = dumped(database, tmp_path)
    use(database.journal)
    clean(database, dump)
    with pytest.raises(StorageError, match="a dump was restored") as refused:
        use(database.journal)
    assert "lane=" not in str(refused.value).rpartition("accept it with")[2]
    assert adopt(JournalLocation(database.url), reason="new", by="ann@host", timeout_s=0.0) == []
    use(database.journal)


def test_what_administrators_do_besides_is_no_restore(database: Database):
    use(database.journal)
    name = urlsplit(database.url).path[1:]
    execute(database.url, "VACUUM (FREEZE) runner.meta")
    execute(database.url, "VACUUM FULL runner.meta")
    execute(database.url, "CLUSTER runner.meta USING meta_pkey")
    execute("postgres", f"ALTER DATABASE {name} RENAME TO {name}_renamed")
    renamed = PostgresJournal(JournalLocation(f"{url_of(f'{name}_renamed')}&lane=edge"))
    use(renamed)
    assert not [each for each in check(renamed.location) if "is whole" in each.what]


def test_an_owner_that_a_restore_overtook_does_not_make_it_good(database: Database, tmp_path: Path):
    """Its renewals reach the lane that was restored: the lane has its epoch."""
    store = database.owned(Clock())
    dump = dumped(database, tmp_path)
    store.record([note()])
    data_only(database, dump)
    store._session.renew()
    with pytest.raises(StorageError, match="it lacks what this run wrote"):
        store.record([note()])
    with closing(store), pytest.raises(StorageError, match="it lacks what this run wrote"):
        store.may_write()
    database.open.close()
    execute(database.url, "UPDATE runner.lanes SET owner = NULL")
    with pytest.raises(StorageError, match="a dump was restored"):
        use(database.journal)
