"""What a probe of the vendor's platform learns, without secrets and customers' data.

Only what is listed here is kept: ids become numbers ("queue-1"), addresses their form, and every
free text is left out (genesys-cloud.md, "What is not documented").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runner.core.exit_code import ExitCode
from runner.drivers import ProbedMove
from runner.gateways.genesys_cloud.protocol.conversation import MEDIA, MOST

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_SCHEME = re.compile(r"(tel|sips?):", re.IGNORECASE)
_ODD = "odd"


class End(StrEnum):
    """How one move of a probe ended."""

    ARRIVED = "arrived"
    REFUSED = "refused"  # a definite no, or a transfer that failed
    NOT_SENT = "not sent"
    IN_DOUBT = "in doubt"  # it may or may not have been carried out, now or soon


class Masks:
    """Gives every id a number of its own, the same for the same id."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def of(self, kind: str, told: object) -> str | None:
        """Return what stands for an id; None for none."""
        if not isinstance(told, str) or not told:
            return None
        name = told.casefold()
        if name not in self._known:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[name] = f"{kind}-{number}"
        return self._known[name]

    def address(self, told: object) -> str | None:
        """Return an address's form ("tel:+11 digits"), or what stands for the id that it is."""
        if not isinstance(told, str) or not told:
            return None
        if (known := self._known.get(told.casefold())) is not None:
            return known
        found = _SCHEME.match(told)
        scheme, rest = (found[0].lower(), told[found.end() :]) if found else ("", told)
        plus, digits = ("+" if rest.startswith("+") else ""), rest.removeprefix("+")
        form = f"{len(digits)} digits" if digits.isdecimal() else f"{len(digits)} characters"
        return f"{scheme}{plus}{form}"


def word(told: object) -> str | None:
    """Return a word of the platform's own vocabulary; anything else is odd."""
    if told is None:
        return None
    return told if isinstance(told, str) and _WORD.fullmatch(told) else _ODD


def sketch(body: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    """Return what a conversation's body shows, masked."""
    return {
        "participants": [_participant(each, masks) for each in _objects(body.get("participants"))],
        "recent_transfers": (
            [_transfer(each, masks) for each in _objects(body["recentTransfers"])]
            if isinstance(body.get("recentTransfers"), list)
            else None
        ),
        "has_ended": body.get("endTime") is not None,
    }


def _participant(told: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    queue, user = told.get("queue"), told.get("user")
    queue_id = told.get("queueId") or (queue.get("id") if isinstance(queue, dict) else None)
    user_id = told.get("userId") or (user.get("id") if isinstance(user, dict) else None)
    shown = {
        "participant": masks.of("participant", told.get("id")),
        "purpose": word(told.get("purpose")),
        "queue": masks.of("queue", queue_id),
        "user": masks.of("user", user_id),
        "address": masks.address(told.get("address")),
        "consult_participant": masks.of("participant", told.get("consultParticipantId")),
        "has_ended": told.get("endTime") is not None,
        "media": {
            medium: [word(each.get("state")) for each in _objects(told.get(medium))]
            for medium in MEDIA
            if told.get(medium)
        },
    }
    return {name: value for name, value in shown.items() if value is not None}


def _transfer(told: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    destination, initiator = told.get("destination"), told.get("initiator")
    return {
        "transfer": masks.of("transfer", told.get("id")),
        "state": word(told.get("state")),
        "type": word(told.get("transferType")),
        "destination": _fields(destination, masks),
        "initiator": _fields(initiator, masks),
    }


def _fields(told: object, masks: Masks) -> dict[str, str | None]:
    """Return the fields of a destination or an initiator, whatever they are, masked."""
    if not isinstance(told, dict):
        return {}
    kinds = {"userId": "user", "queueId": "queue", "address": None}
    return {
        word(name) or _ODD: (
            masks.address(value)
            if kinds.get(name, "id") is None
            else masks.of(kinds.get(name) or "id", value)
        )
        for name, value in told.items()
        if value
    }


def _objects(told: object) -> Sequence[Mapping[str, Any]]:
    found = told if isinstance(told, list) else []
    return [one for one in found if isinstance(one, dict)][:MOST]


@dataclass(slots=True)
class Attempt:
    """One move of a probe: what was asked, what was answered, what was seen after it."""

    operation: str  # "replace/queue"
    leg: str  # the purpose of who was to be replaced
    media: tuple[str, ...]
    destination: str | None  # masked
    answer: dict[str, Any] | None = None
    lost: str | None = None  # why there is no answer
    seen: list[dict[str, Any]] = field(default_factory=list)
    end: End | None = None  # None: the probe itself did not come to its end
    took_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the form that the file keeps."""
        return {
            "operation": self.operation,
            "leg": self.leg,
            "media": list(self.media),
            "destination": self.destination,
            "answer": self.answer,
            "lost": self.lost,
            "end": "about to leave, or on its way" if self.end is None else str(self.end),
            "took_s": self.took_s,
            "seen": self.seen,
        }


@dataclass(slots=True)
class Findings:
    """What a probe found; the first thing that is written to its file, and the last."""

    about: dict[str, Any]
    subject: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    unfit: str | None = None  # why nothing was sent at all
    there: Attempt | None = None
    back: Attempt | None = None
    not_back: str | None = None  # why it was not moved back

    def moves(self) -> list[ProbedMove]:
        """Return the move there, and the move back if there was one before it, in words."""
        moves = [_move("there", self.there, self.unfit)]
        if self.there is not None:
            moves.append(_move("back", self.back, self.not_back))
        return moves

    def answers(self) -> dict[str, str]:
        """Return what was learnt, by question."""
        return answers(self)

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is not known that the conversation was moved."""
        attempts = (each for each in (self.there, self.back) if each is not None)
        return any(each.end in {End.IN_DOUBT, None} for each in attempts)

    @property
    def code(self) -> ExitCode:
        """How the command is to end: a move in doubt is 6, one that was not carried out is 1."""
        ends = [each.end for each in (self.there, self.back) if each is not None]
        if any(end in {End.IN_DOUBT, None} for end in ends):
            return ExitCode.IN_DOUBT
        failed = not ends or any(end is not End.ARRIVED for end in ends)
        return ExitCode.FAILURES if failed else ExitCode.OK

    def to_json(self) -> dict[str, Any]:
        """Return the form that the file keeps."""
        return {
            "about": self.about,
            "answers": answers(self),
            "subject": self.subject,
            "before": self.before,
            "not_sent_because": self.unfit,
            "there": None if self.there is None else self.there.to_json(),
            "back": None if self.back is None else self.back.to_json(),
            "not_moved_back_because": self.not_back,
        }


def _move(name: str, attempt: Attempt | None, why_not: str | None) -> ProbedMove:
    if attempt is None:
        return ProbedMove(name, why_not or "nothing was sent")
    took = "" if attempt.took_s is None else f", watched for {attempt.took_s:g} s"
    why = f": {attempt.lost}" if attempt.lost else ""
    text = f"{attempt.operation} of {attempt.leg}{took}{why}"
    return ProbedMove(name, text, str(attempt.end or End.IN_DOUBT), attempt.end is End.ARRIVED)


def answers(findings: Findings) -> dict[str, str]:
    """Return what is known by now of each question that only a real organisation answers."""
    attempts = [each for each in (findings.there, findings.back) if each is not None]
    return {
        "does the command take such a leg with client credentials": "; ".join(
            f"{each.operation} of {each.leg} ({', '.join(each.media)}): {_answered(each)}"
            for each in attempts
        )
        or "not asked",
        "is recentTransfers filled": "; ".join(
            f"{each.operation} ({', '.join(each.media)}): {_listed(each)}" for each in attempts
        )
        or "not asked",
        "what does authorization/subjects/me answer": _subject(findings.subject),
        "is a prefix of an address accepted": next(
            (
                f"{each.destination}: {_answered(each)}"
                for each in attempts
                if each.operation == "transfer"
            ),
            "not asked: the destination was no address",
        ),
    }


def _answered(attempt: Attempt) -> str:
    if attempt.answer is None:
        return "no answer" if attempt.end is not End.NOT_SENT else "not sent"
    code = attempt.answer.get("code")
    told = f" {code}" if code else ""
    return f"{attempt.answer['status']}{told}, {attempt.end or 'unknown'}"


def _listed(attempt: Attempt) -> str:
    lists = [each["recent_transfers"] for each in attempt.seen]
    told = [one for each in lists if each for one in each]
    if not told:
        absent = all(each is None for each in lists)
        return "the field is absent" if absent else "no, the list stayed empty"
    states = ", ".join(dict.fromkeys(str(one["state"]) for one in told))
    places = _named(one["destination"] for one in told)
    return f"yes: {states}; destination {places}; initiator {_named(o['initiator'] for o in told)}"


def _named(told: Iterable[Mapping[str, str | None]]) -> str:
    shown = dict.fromkeys(f"{name}={value}" for each in told for name, value in each.items())
    return ", ".join(shown) or "{}"


def _subject(subject: Mapping[str, Any] | None) -> str:
    if subject is None:
        return "not asked"
    return f"{subject['status']}, fields {', '.join(subject['fields']) or 'none'}; grants {subject['grants']}, permissions listed {subject['permissions']}"


def sketch_subject(status: int, body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what `authorization/subjects/me` answered, without names."""
    told = body or {}
    grants = _objects(told.get("grants"))
    roles = [grant.get("role") for grant in grants]
    policies = [
        policy
        for role in roles
        if isinstance(role, dict)
        for policy in _objects(role.get("policies"))
    ]
    return {
        "status": status,
        "fields": sorted(word(name) or _ODD for name in told),
        "grants": len(grants),
        "permissions": sum(len(_list(policy.get("actions"))) for policy in policies),
    }


def _list(told: object) -> list[Any]:
    return told if isinstance(told, list) else []
