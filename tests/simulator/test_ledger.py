"""The ledger survives the process, and counting moves from it is easy."""

import json
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.simulator.ledger import Carried, Ledger, Received, read_ledger

EFFECT = (
    '{"seq":1,"at":1796158800.5,"message_id":"m1","interaction_id":"i1",'
    '"destination_uri":"genesys://queue/a","effect":"carried_out"}\n'
)
FRAME = '{"at":1796158800.4,"message_id":"m1","interaction_id":"i1"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_moves_are_counted_by_interaction() -> None:
    ledger = Ledger()
    for n, interaction_id in enumerate(["i1", "i2", "i1"]):
        ledger.add_effect(f"m{n}", interaction_id, "genesys://queue/a", 1.0)

    assert ledger.moves() == {"i1": 2, "i2": 1}
    assert [effect.seq for effect in ledger.effects] == [1, 2, 3]


def test_memory_is_bounded_but_counts_are_whole() -> None:
    ledger = Ledger()
    for n in range(10_050):
        ledger.add_received(f"m{n}", "i", 1.0)
        ledger.add_effect(f"m{n}", "i", "genesys://queue/a", 1.0)

    assert len(ledger.effects) == len(ledger.received) == 10_000
    assert (ledger.effect_count, ledger.received_count) == (10_050, 10_050)
    assert ledger.moves() == {"i": 10_050}


def test_a_line_is_in_the_file_before_adding_returns(path: Path) -> None:
    ledger = Ledger(path)
    assert list(ledger.open()) == []

    ledger.add_received("m1", "i1", 1796158800.4)
    ledger.add_effect("m1", "i1", "genesys://queue/a", 1796158800.5)

    assert path.read_text() == FRAME + EFFECT
    assert path.stat().st_mode & 0o777 == 0o600
    ledger.close()


def test_it_goes_on_where_the_file_ends(path: Path) -> None:
    path.write_text(FRAME + EFFECT)
    ledger = Ledger(path)

    restored = list(ledger.open())
    ledger.add_effect("m2", "i1", "genesys://queue/b", 1796158801.0)
    ledger.close()

    assert restored == [Carried(1, 1796158800.5, "m1", "i1", "genesys://queue/a")]
    assert ledger.moves() == {"i1": 2}
    assert json.loads(path.read_text().splitlines()[-1])["seq"] == 2
    assert ledger.received_count == 1


def test_entries_are_told_apart_by_their_effect(path: Path) -> None:
    path.write_text(FRAME + EFFECT)

    assert [type(entry) for entry in read_ledger(path)] == [Received, Carried]


@pytest.mark.parametrize("torn", [EFFECT[:-1], EFFECT[:40], "{"])
def test_a_line_torn_by_a_kill_is_dropped(path: Path, torn: str) -> None:
    path.write_text(EFFECT + torn)
    ledger = Ledger(path)

    assert len(list(ledger.open())) == 1
    ledger.close()
    assert path.read_text() == EFFECT


@pytest.mark.parametrize("line", ["nonsense", "[]", "7", '{"effect":"carried_out"}', "{}"])
def test_a_line_that_is_no_entry_is_named(path: Path, line: str) -> None:
    path.write_text(f"{FRAME}{line}\n{EFFECT}")
    ledger = Ledger(path)

    with pytest.raises(StorageError, match=r"ledger\.jsonl:2: not an entry of a ledger"):
        list(ledger.open())
    ledger.close()


def test_a_file_that_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n")
    ledger = Ledger(path)

    with pytest.raises(StorageError, match="not an entry of a ledger"):
        list(ledger.open())
    ledger.close()


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory; name a writable file"):
        list(Ledger(tmp_path / "nowhere" / "ledger.jsonl").open())


def test_a_full_disk_is_an_error_not_a_silent_gap() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    ledger = Ledger()
    with full.open("wb", buffering=0) as file:
        ledger._file = file.fileno()
        with pytest.raises(StorageError, match="No space left"):
            ledger.add_effect("m1", "i1", "genesys://queue/a", 1.0)

    assert not ledger.moves()


@pytest.mark.parametrize("place", ["/dev/null", "/"])
def test_what_is_no_regular_file_is_refused(place: str) -> None:
    with pytest.raises(StorageError, match="not a regular file"):
        list(Ledger(Path(place)).open())


def test_two_simulators_cannot_write_one_ledger(path: Path) -> None:
    first, second = Ledger(path), Ledger(path)
    list(first.open())

    with pytest.raises(StorageError, match="another simulator writes it"):
        list(second.open())
    first.close()
    assert list(second.open()) == []
    second.close()
