"""A database that was restored, copied or failed over: refused, until a person accepts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from runner.core.errors import Locked, StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.journal.postgres.access import PostgresJournal
from runner.journal.postgres.administration import check
from runner.journal.postgres.adoption import adopt
from runner.journal.postgres.connection import JournalUrl, connect
from runner.journal.postgres.server_identity import ServerIdentity, server_of
from runner.ports.history import NO_PROVENANCE, Provenance
from tests.journal.builders import note
from tests.journal.postgres.lanes import Clock, Database, use
from tests.postgres_server import fresh_database

HERE = ServerIdentity("7391", 3)


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database(fresh_database())
    with made.open:
        yield made


def written_on(database: Database, server: str) -> None:
    """Let the lane have been written on another server."""
    database.ask(f"UPDATE runner.meta SET value = '{server}' WHERE name = 'server' RETURNING 1")


def now(database: Database) -> ServerIdentity:
    with closing(connect(JournalUrl.parse(database.url))) as connection:
        return server_of(connection)


@pytest.mark.parametrize(
    ("known", "is_lossless", "what"),
    [
        (ServerIdentity("7391", 3), False, None),
        (ServerIdentity("7391", 2), True, None),
        (ServerIdentity("7391", 2), False, "restored to a point"),
        (ServerIdentity("7391", 4), True, "an old server is back"),
        (ServerIdentity("7390", 3), True, "another cluster"),
    ],
)
def test_what_may_have_been_lost_since_a_lane_was_written(
    known: ServerIdentity, *, is_lossless: bool, what: str | None
):
    found = HERE.since(known, is_lossless=is_lossless)
    assert what in (found or "") if what else found is None
    assert ServerIdentity.parse(str(HERE)) == HERE


def test_a_persons_word_covers_what_was_seen_before_it_alone():
    adopted = Provenance("7391/3", ("a", "b"))
    assert [adopted.covers(seen) for seen in ("", "a", "b", "of another copy")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not NO_PROVENANCE.covers("")


@pytest.mark.parametrize("server", ["1/1", "{system}/0", "{system}/9"])
def test_a_lane_that_was_written_elsewhere_is_refused_until_it_is_adopted(
    database: Database, server: str
):
    use(database.journal)
    written_on(database, server.format(system=now(database).system))
    with pytest.raises(StorageError, match="runner journal adopt") as error:
        use(database.journal)
    assert "would be moved twice" in str(error.value)
    doubted = [each.what for each in check(database.journal.location) if not each.holds]
    assert [what for what in doubted if "lane edge is whole: it" in what]
    with database.journal.open_history() as history:  # it is read, to be judged
        assert len(history.runs(9)) == 1
    [adopted] = adopt(
        database.journal.location, reason="seen to", by="ann@host", timeout_s=0.0
    )  # fmt: skip
    assert adopted.lane == "edge"
    assert adopted.last is not None
    use(database.journal)
    event = next(each for each in database.bodies() if each["event"] == "journal adopted")
    assert (event["by"], event["reason"], event["server"]) == (
        "ann@host", "seen to", str(now(database)),
    )  # fmt: skip
    with database.journal.open_history() as history:
        assert history.provenance() == Provenance(str(now(database)), (str(event["adoption"]),))
        assert all(each.recorded == each.actual for each in history.heads_before_runs())


def test_a_promotion_that_loses_nothing_goes_on_and_the_chain_says_so(database: Database):
    use(database.journal)
    database.ask(
        "UPDATE runner.journal SET value = 'provider' WHERE name = 'durability' RETURNING 1"
    )
    written_on(database, f"{now(database).system}/0")
    use(database.journal)
    assert "database failed over" in [each["event"] for each in database.bodies()]


def test_reports_say_what_may_be_lost_and_who_accepted_it(database: Database):
    store = database.owned(Clock())
    assert store.caveats() == []
    database.ask(
        "UPDATE runner.journal SET value = 'accept-loss' WHERE name = 'durability' RETURNING 1"
    )
    database.open.close()
    adopt(database.journal.location, reason="restored", by="ann@host", timeout_s=0.0)
    lossy, adopted = database.owned(Clock()).caveats()
    assert "accept-loss" in lossy
    assert "accepted by ann@host" in adopted


def test_an_owner_that_lived_through_a_promotion_vouches_for_it(database: Database):
    store = database.owned(Clock())
    written_on(database, f"{now(database).system}/0")
    store._session._confirmed = ServerIdentity(now(database).system, 0)
    kill_connections(database)
    store.record([note()])
    assert database.ask("SELECT value FROM runner.meta WHERE name = 'server'") == [
        (str(now(database)),)
    ]


def test_an_owner_whose_commits_a_failover_lost_sends_nothing_more(database: Database):
    store = database.owned(Clock())
    store.record([note()])
    database.ask(
        "WITH lost AS (DELETE FROM runner.events WHERE seq = (SELECT max(seq) FROM runner.events))"
        " UPDATE runner.lanes SET seq = seq - 1, head = (SELECT hash FROM runner.events"
        " ORDER BY seq DESC OFFSET 1 LIMIT 1) RETURNING 1"
    )
    kill_connections(database)
    with pytest.raises(StorageError, match="it lacks what this run wrote"):
        store.record([note()])
    with pytest.raises(StorageError, match="it lacks what this run wrote"):
        store.may_write()


def kill_connections(database: Database) -> None:
    database.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_a_lane_in_use_and_one_that_does_not_exist_are_not_adopted(database: Database):
    with pytest.raises(UsageError, match="no such lane"):
        adopt(database.journal.location, reason="r", by="ann", timeout_s=0.0)
    database.owned(Clock())
    with pytest.raises(Locked):
        adopt(database.journal.location, reason="r", by="ann", timeout_s=0.0)


def test_every_lane_is_adopted_unless_one_is_named(database: Database):
    url = JournalUrl.parse(database.url)
    for name in ("edge", "other"):
        use(PostgresJournal(JournalLocation(str(url.at(name)))))
    whole = JournalLocation(database.url)
    found = adopt(whole, reason="restored", by="ann@host", timeout_s=0.0)
    assert sorted(each.lane for each in found) == ["edge", "other"]
    kept = database.ask("SELECT value FROM runner.meta WHERE name = 'adoptions'")
    assert [json.loads(str(value))[0]["reason"] for (value,) in kept] == ["restored"] * 2
