"""An `--only` that matches nothing ends the command; a selection that finds nobody does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.app.name_resolution import Found
from runner.app.plan_check import check_only
from runner.app.run_options import RunOptions
from runner.core.errors import UsageError
from runner.core.transfer.rows import TransferRow
from runner.staging.rows import Staging
from tests.core.manifest.builders import VOICE, selection


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging() as opened:
        yield opened


def listed(staging: Staging, *keys: str) -> None:
    for key in keys:
        staging.add(TransferRow(key, key, "genesys://queue/a", VOICE, (), "m.yaml:20"))


def refusal(staging: Staging, *only: str) -> str:
    with pytest.raises(UsageError) as raised:
        check_only(RunOptions(Path("m.yaml"), only=only), staging)
    return str(raised.value)


def test_a_pattern_that_matches_no_key_is_refused_with_the_nearest(staging: Staging):
    listed(staging, "vip-17", "bulk-1")
    check_only(RunOptions(Path("m.yaml"), only=("vip-*", "bulk-1")), staging)
    assert refusal(staging, "vip-71") == "--only vip-71 matches no transfer; did you mean `vip-17`?"


def test_every_pattern_that_matches_nothing_is_named(staging: Staging):
    listed(staging, *(f"vip-{n}" for n in range(9)))
    assert refusal(staging, "x*", "vip-*", "y*") == (
        "--only 'x*' and --only 'y*' match no transfer; it is compared with whole keys,"
        " such as `vip-0`, `vip-1`, `vip-2`; `*` stands for any characters"
    )


def test_a_manifest_without_transfers_has_none_to_match(staging: Staging):
    assert refusal(staging, "*") == "--only '*' matches no transfer; the manifest has no transfers"


def test_what_a_selection_may_find_is_not_refused_and_nobody_found_is_no_error(staging: Staging):
    staging.select(selection())
    request = RunOptions(Path("m.yaml"), only=("call-1",))
    check_only(request, staging)
    Found().put_into(staging)
    check_only(request, staging)
    listed(staging, "call-2")
    assert refusal(staging, "call-1").startswith("--only call-1 matches no transfer")
