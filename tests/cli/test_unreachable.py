"""A gateway that lets nobody in: the terminal offers what the page offers."""

from __future__ import annotations

from pathlib import Path

from runner.cli.option_parsers import plain_path
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.wire import WebResponse


def test_the_terminal_offers_to_look_for_the_obstacle_before_it_offers_to_apply_again(
    gateway: Gateway, harness: Harness
):
    gateway.token_answers = [WebResponse(401, {"error": "invalid_client"})]
    ended = harness.apply(manifest(gateway, [transfer()]))
    assert ended.code == 4
    last = ended.ended.out[ended.ended.out.index("what to do next") :]
    assert last.index("runner doctor ") < last.index("runner apply ")


def test_a_path_is_shown_without_detours_that_lead_to_the_same_place(tmp_path: Path):
    (tmp_path / "m").mkdir()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere" / "deep")
    assert plain_path(f"{tmp_path}/m/../j/x.db") == tmp_path / "j" / "x.db"
    assert plain_path("m/../j/x.db") == Path("j/x.db")
    through = Path(f"{tmp_path}/linked/../x.db")
    assert plain_path(str(through)) == through
    assert plain_path("m/../\0") == Path("m/../\0")
