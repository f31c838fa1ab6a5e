"""What a run is given, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.manifest.destinations import NO_LIMITS, DestinationTable
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import Limits
from runner.core.pacing.batch_so_far import BatchSoFar
from runner.core.pacing.pace_left import FULL_PACE, PaceLeft
from runner.core.pacing.what_if import ASSUMED_HANDLE_S
from runner.core.records.run_record import Figures
from runner.core.transfer.message import Compose, Message
from runner.engine.callback_factory import CallbackFactory
from runner.engine.rules import Rules
from runner.ports.gates import Gates, Prompt, unanswered


@frozen
class RunSpec:
    """The size of a run's plan, and the rules to send it by."""

    total: int  # transfers of the plan that are to be sent
    limits: Limits
    rules: Rules
    callbacks: CallbackFactory
    find_fault: Callable[[Message, MediaMatrix], str | None]
    compose: Compose
    total_kbps: float | None = None  # of all transfers in flight together
    failed_before: int = 0  # those of `total` that were rejected or failed before: they come last
    gates: Gates | None = None
    gates_every_s: Mapping[str, float] = field(default_factory=dict)  # of gates that are watched
    prompt: Prompt = unanswered
    journal_name: str | None = None  # as commands for the run name it; None: it is found by default
    user: str = ""  # who runs it, for what is decided at the terminal
    is_planned: bool = False  # its limits are those of a plan that was approved
    so_far: BatchSoFar | None = None  # where earlier runs left the batch; None: it begins here
    destinations: DestinationTable = NO_LIMITS
    observed: Sequence[str] = ()  # the destinations that have to be observed
    sends: Mapping[str, int] = field(default_factory=dict)  # transfers to each of these
    handle_s: float = ASSUMED_HANDLE_S  # how long an agent serves an interaction
    pace: PaceLeft = FULL_PACE  # what the gateway asked of earlier runs
    sending_s: float | None = None  # how long the limits let it take, pauses aside; None: unknown

    @property
    def batch_total(self) -> int:
        """The transfers of the whole batch, which shares refer to."""
        return self.total if self.so_far is None else self.so_far.total


@frozen
class RunEnd:
    """How a run ended. `halted` None: it came to the plan's end."""

    halted: ExitCode | None
    explanation: str | None
    error: Exception | None
    figures: Figures
