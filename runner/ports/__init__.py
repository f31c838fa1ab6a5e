"""What the engine and the use cases need of the world: adapters implement it, tests fake it."""

from runner.ports.clock import Clock
from runner.ports.gateway import (
    CapacityObserver,
    Directory,
    Gateway,
    GatewayListener,
    Observed,
    RequestLimited,
    SessionLost,
    SessionOpened,
)
from runner.ports.journal import (
    Doubt,
    Entry,
    Intent,
    Journal,
    JournalledTransfer,
    Note,
    Notification,
    OwnRun,
)
from runner.ports.observer import (
    Observer,
    Progress,
    SessionState,
)

__all__ = [
    "CapacityObserver",
    "Clock",
    "Directory",
    "Doubt",
    "Entry",
    "Gateway",
    "GatewayListener",
    "Intent",
    "Journal",
    "JournalledTransfer",
    "Note",
    "Notification",
    "Observed",
    "Observer",
    "OwnRun",
    "Progress",
    "RequestLimited",
    "SessionLost",
    "SessionOpened",
    "SessionState",
]
