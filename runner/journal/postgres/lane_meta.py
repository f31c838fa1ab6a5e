"""What a lane keeps of itself beside its history: where it was written, and who accepted that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from runner.ports.history import Provenance
from runner.ports.journal_access import Durability

SERVER = "server"
"""The server that the lane's owners wrote to last: `ServerIdentity` as a text."""

PLACE = "place"
"""The database's number and the transaction that wrote this row; see `server_identity`."""

ADOPTIONS = "adoptions"
"""JSON: the words of people who accepted a restored database, oldest first."""

_LOSS = (
    "the journal's database has standbys that may lag behind (durability accept-loss): a failover may"
    " lose the last commits, and who was moved then would be moved again"
)


def adoptions_of(meta: Mapping[str, str]) -> list[Mapping[str, str]]:
    """Return the adoptions, oldest first: id, at, by, reason."""
    return list(json.loads(meta.get(ADOPTIONS, "[]")))


def provenance_of(meta: Mapping[str, str]) -> Provenance:
    """Return what hosts remember of a lane."""
    return Provenance(meta.get(SERVER, ""), tuple(each["id"] for each in adoptions_of(meta)))


def caveats_of(meta: Mapping[str, str], durability: str) -> Sequence[str]:
    """Return what reports must say of the lane."""
    found = [_LOSS] if durability == Durability.ACCEPT_LOSS else []
    adopted = [
        f"the journal's database was restored or failed over, and accepted by {each['by']} at"
        f" {each['at']} ({each['reason']}): what was moved before that may be missing in it"
        for each in adoptions_of(meta)[-1:]
    ]
    return [*found, *adopted]
