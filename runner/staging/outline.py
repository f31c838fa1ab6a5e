"""What a plan's report shows of a row."""

from __future__ import annotations

from typing import NamedTuple


class Outline(NamedTuple):
    """A planned row as its report shows it; a plain tuple, since there may be a million.

    Its fields are columns of the staged rows and decisions.
    """

    n: int
    key: str
    source: str
    interaction_id: str
    destination_uri: str
    media: str  # `read_ladder` reads it
    action: str
    reason: str | None
    origin_uri: str | None = None  # where its history carried it last, if elsewhere
    code: str | None = None  # of `reason`
    earlier: str | None = None  # JSON: `core.transfer.reasons.Earlier`
    failed_as: str | None = None  # with which code it failed before
