"""`journal adopt`: a person accepts a database that may lack what was written last."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from runner.app.run_record import current_user
from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.journals import adopt_journal
from runner.ports.journal_access import Adopted

PATIENCE_S = 60.0
"""How long a lane is waited for whose owner of before the restore cannot be proven dead."""


def adopt_database(
    location: JournalLocation, reason: str, lock_timeout_s: float | None
) -> Sequence[Adopted]:
    """Accept a database for its lanes, recording who, when and why.

    Raises `UsageError`, `Locked` for a lane whose owner lives, `StorageError`.
    """
    if not reason.strip() or not reason.isprintable():
        raise UsageError("--reason must say why, in printable characters on one line")
    return adopt_journal(
        location,
        reason=reason,
        by=f"{current_user()}@{socket.gethostname()}",
        timeout_s=PATIENCE_S if lock_timeout_s is None else lock_timeout_s,
    )
