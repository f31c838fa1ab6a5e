"""Matches what is observed of conversations to the transfers under way (genesys-cloud.md, "Order of work")."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.doubt_evidence import Baseline, was_moved_by_others
from runner.core.transfer.message import Reply
from runner.core.transfer.states import Event
from runner.gateways.genesys_cloud.protocol.command import Command
from runner.gateways.genesys_cloud.protocol.conversation import Reading
from runner.gateways.genesys_cloud.protocol.outcome import find_failure, has_moved

MOST_KEPT = 20_000
"""The most transfers without outcome, and the most looked-up conversations, that are remembered."""


@dataclass(slots=True)
class Move:
    """One submitted command. `before` is the conversation at its look-up."""

    command: Command
    before: Reading | None
    handed_at: float
    is_answered: bool = False  # its request is over, with or without an answer
    is_accepted: bool = False  # by the platform: 202
    correlation_id: str | None = None
    seen: Reply | None = None  # the outcome that was observed before the answer came
    latest: Reading | None = None  # the last observation
    is_reported: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether the last observation shows it on its way: a ringing leg, a pending command."""
        if self.before is None or self.latest is None or self.is_reported:
            return False
        uri = self.command.destination_uri
        known = {each.id for each in self.before.interaction.arrivals}
        return any(
            not each.is_done and not each.by_user and each.id not in known
            and (each.destination_uri is None or same_destination(each.destination_uri, uri))
            for each in self.latest.interaction.arrivals
        )  # fmt: skip

    @property
    def is_overtaken(self) -> bool:
        """Whether somebody else's command was carried out since the look-up."""
        if self.before is None or self.latest is None:
            return False
        before = Baseline.of(self.before.interaction)
        return was_moved_by_others(self.latest.interaction, before)


class MoveTracker:
    """Matches observations of conversations to commands, and reports their outcomes.

    A move is remembered until its outcome is known, even after its time-out. Ids of conversations are
    canonical.
    """

    def __init__(self, report: Callable[[Reply], None]) -> None:
        self._report = report
        self._by_conversation: OrderedDict[str, list[Move]] = OrderedDict()  # by conversation
        self._looked: OrderedDict[str, Reading] = OrderedDict()

    def looked_up(self, reading: Reading) -> None:
        """Remember a look-up: later differences are effects of a command."""
        conversation_id = reading.interaction.interaction_id
        self._looked[conversation_id] = reading
        self._looked.move_to_end(conversation_id)
        if len(self._looked) > MOST_KEPT:
            self._looked.popitem(last=False)

    def begin(self, command: Command, now: float) -> Move:
        """Remember a command that is about to be sent."""
        move = Move(command, self._looked.pop(command.conversation_id, None), now)
        self._by_conversation.setdefault(command.conversation_id, []).append(move)
        self._by_conversation.move_to_end(command.conversation_id)
        if len(self._by_conversation) > MOST_KEPT:
            self._by_conversation.popitem(last=False)
        return move

    def answered(self, move: Move, *, is_accepted: bool, correlation_id: str | None) -> None:
        """Record the end of a command's request, and report what was observed meanwhile."""
        move.is_answered, move.is_accepted = True, is_accepted
        move.correlation_id = correlation_id
        if move.seen is None and move.latest is not None:
            move.seen = _judge(move, move.latest)
        self.release(move)

    def release(self, move: Move) -> None:
        """Report the observed outcome of a move, if there is one."""
        if move.seen is not None:
            self._settle(move, move.seen)

    def refused(self, move: Move, reply: Reply) -> None:
        """Report a definite answer to a command, or that it was not sent."""
        self._settle(move, reply)

    def doubted(self, move: Move, reply: Reply) -> None:
        """Report that the outcome of a command is unknown; the move is still remembered."""
        if not move.is_reported:
            self._report(reply)

    def observed(self, conversation_id: str, reading: Reading) -> Iterator[Move]:
        """Report the moves that a reading settles; yield those whose request has no answer yet."""
        for move in list(self._by_conversation.get(conversation_id, ())):
            move.latest = reading
            reply = _judge(move, reading)
            if reply is None:
                continue
            if move.is_answered:
                self._settle(move, reply)
            elif move.seen is None:
                move.seen = reply
                yield move

    def knows(self, conversation_id: str) -> bool:
        """Return whether a conversation has moves without a known outcome."""
        return conversation_id in self._by_conversation

    def _settle(self, move: Move, reply: Reply) -> None:
        if move.is_reported:
            return
        move.is_reported = True
        conversation_id = move.command.conversation_id
        moves = self._by_conversation.get(conversation_id, [])
        if move in moves:
            moves.remove(move)
        if not moves:
            self._by_conversation.pop(conversation_id, None)
        correlation_id = reply.correlation_id or move.correlation_id
        self._report(reply._replace(correlation_id=correlation_id))


def _judge(move: Move, reading: Reading) -> Reply | None:
    """Return the outcome of a move that a reading shows, if any."""
    command = move.command
    if move.before is None:
        return None  # nothing to compare with
    failure = find_failure(move.before, reading, command.destination_uri)
    if failure is not None:
        if not move.is_accepted:
            return None  # it may be another client's
        reason = f"the platform accepted it, and it ended as {failure.state}"
        return Reply(command.message_id, "transfer_rejected", reason=reason, event=Event.DENIED)
    if not has_moved(move.before, reading, command.destination_uri):
        return None
    reason = "seen to have arrived"
    return Reply(command.message_id, "transfer_initiated", reason=reason, event=Event.ACCEPTED)
