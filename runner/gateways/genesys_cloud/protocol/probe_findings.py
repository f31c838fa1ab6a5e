"""The findings of a probe, without secrets and customers' data.

Only fields listed here are kept: ids become numbers ("queue-1"), addresses become their form, and
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


INTERRUPTED = "interrupted"
"""Why something has no outcome: the probe, or its process, ended before."""


class End(StrEnum):
    """How one move of a probe ended."""

    ARRIVED = "arrived"
    REFUSED = "refused"  # refused, or the transfer failed
    NOT_SENT = "not sent"
    IN_DOUBT = "in doubt"  # it may or may not have been carried out, now or soon


class Masks:
    """Replaces ids by numbers, the same number for the same id."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def of(self, kind: str, given: object) -> str | None:
        """Return the replacement of an id; None without an id."""
        if not isinstance(given, str) or not given:
            return None
        name = given.casefold()
        if name not in self._known:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[name] = f"{kind}-{number}"
        return self._known[name]

    def address(self, given: object) -> str | None:
        """Return the form of an address ("tel:+11 digits"), or the replacement of an id."""
        if not isinstance(given, str) or not given:
            return None
        if (known := self._known.get(given.casefold())) is not None:
            return known
        found = _SCHEME.match(given)
        scheme, rest = (found[0].lower(), given[found.end() :]) if found else ("", given)
        plus, digits = ("+" if rest.startswith("+") else ""), rest.removeprefix("+")
        form = f"{len(digits)} digits" if digits.isdecimal() else f"{len(digits)} characters"
        return f"{scheme}{plus}{form}"


def word(given: object) -> str | None:
    """Return a word of the platform's vocabulary, or "odd" for anything else."""
    if given is None:
        return None
    return given if isinstance(given, str) and _WORD.fullmatch(given) else _ODD


def sketch(body: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    """Return the body of a conversation, masked."""
    return {
        "participants": [_participant(each, masks) for each in _objects(body.get("participants"))],
        "recent_transfers": (
            [_transfer(each, masks) for each in _objects(body["recentTransfers"])]
            if isinstance(body.get("recentTransfers"), list)
            else None
        ),
        "has_ended": body.get("endTime") is not None,
    }


def _participant(given: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    queue, user = given.get("queue"), given.get("user")
    queue_id = given.get("queueId") or (queue.get("id") if isinstance(queue, dict) else None)
    user_id = given.get("userId") or (user.get("id") if isinstance(user, dict) else None)
    shown = {
        "participant": masks.of("participant", given.get("id")),
        "purpose": word(given.get("purpose")),
        "queue": masks.of("queue", queue_id),
        "user": masks.of("user", user_id),
        "address": masks.address(given.get("address")),
        "consult_participant": masks.of("participant", given.get("consultParticipantId")),
        "has_ended": given.get("endTime") is not None,
        "media": {
            medium: [word(each.get("state")) for each in _objects(given.get(medium))]
            for medium in MEDIA
            if given.get(medium)
        },
    }
    return {name: value for name, value in shown.items() if value is not None}


def _transfer(given: Mapping[str, Any], masks: Masks) -> dict[str, Any]:
    destination, initiator = given.get("destination"), given.get("initiator")
    return {
        "transfer": masks.of("transfer", given.get("id")),
        "state": word(given.get("state")),
        "type": word(given.get("transferType")),
        "destination": _fields(destination, masks),
        "initiator": _fields(initiator, masks),
    }


def _fields(given: object, masks: Masks) -> dict[str, str | None]:
    """Return the fields of a destination or an initiator, masked."""
    if not isinstance(given, dict):
        return {}
    kinds = {"userId": "user", "queueId": "queue", "address": None}
    return {
        word(name) or _ODD: (
            masks.address(value)
            if kinds.get(name, "id") is None
            else masks.of(kinds.get(name) or "id", value)
        )
        for name, value in given.items()
        if value
    }


def _objects(given: object) -> Sequence[Mapping[str, Any]]:
    found = given if isinstance(given, list) else []
    return [one for one in found if isinstance(one, dict)][:MOST]


@dataclass(slots=True)
class Attempt:
    """One move of a probe: its request, answer and observations."""

    operation: str  # "replace/queue"
    leg: str  # the purpose of the participant to replace
    media: tuple[str, ...]
    destination: str | None  # masked
    answer: dict[str, Any] | None = None
    lost: str | None = None  # why there is no answer
    seen: list[dict[str, Any]] = field(default_factory=list)
    end: End | None = None  # None: the probe did not finish
    took_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form in the probe's file."""
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
    """What a probe found; its file is written before the first move and after each step."""

    about: dict[str, Any]
    subject: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    unfit: str | None = None  # why nothing was sent at all
    there: Attempt | None = None
    back: Attempt | None = None
    not_back: str | None = None  # why it was not moved back

    def moves(self) -> list[ProbedMove]:
        """Return the moves in words: there, and back if it was moved."""
        moves = [_move("there", self.there, self.unfit)]
        if self.there is not None:
            moves.append(_move("back", self.back, self.why_not_back))
        return moves

    def answers(self) -> dict[str, str]:
        """Return the answers that were found, by question."""
        return answers(self)

    @property
    def why_not_back(self) -> str | None:
        """Why it was moved, and no move back was begun; None if one was, or nothing was moved."""
        if self.there is None or self.back is not None:
            return None
        return self.not_back or INTERRUPTED

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is unknown if the conversation was moved."""
        attempts = (each for each in (self.there, self.back) if each is not None)
        return any(each.end in {End.IN_DOUBT, None} for each in attempts)

    @property
    def code(self) -> ExitCode:
        """The exit code: 6 for a move in doubt, 1 if it was not moved there and back."""
        if self.is_in_doubt:
            return ExitCode.IN_DOUBT
        attempts = (self.there, self.back)
        is_back = all(each is not None and each.end is End.ARRIVED for each in attempts)
        return ExitCode.OK if is_back else ExitCode.FAILURES

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form in the probe's file."""
        return {
            "about": self.about,
            "answers": answers(self),
            "subject": self.subject,
            "before": self.before,
            "not_sent_because": self.unfit,
            "there": None if self.there is None else self.there.to_json(),
            "back": None if self.back is None else self.back.to_json(),
            "not_moved_back_because": self.why_not_back,
        }


def _move(name: str, attempt: Attempt | None, why_not: str | None) -> ProbedMove:
    if attempt is None:
        return ProbedMove(name, why_not or "nothing was sent")
    took = "" if attempt.took_s is None else f", watched for {attempt.took_s:g} s"
    why = [attempt.lost, INTERRUPTED if attempt.end is None else None]
    text = ": ".join([f"{attempt.operation} of {attempt.leg}{took}", *filter(None, why)])
    return ProbedMove(name, text, str(attempt.end or End.IN_DOUBT), attempt.end is End.ARRIVED)


def answers(findings: Findings) -> dict[str, str]:
    """Return the answers so far to the questions that only a real organisation can answer."""
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
    given = f" {code}" if code else ""
    return f"{attempt.answer['status']}{given}, {attempt.end or 'unknown'}"


def _listed(attempt: Attempt) -> str:
    lists = [each["recent_transfers"] for each in attempt.seen]
    given = [one for each in lists if each for one in each]
    if not given:
        absent = all(each is None for each in lists)
        return "the field is absent" if absent else "no, the list stayed empty"
    states = ", ".join(dict.fromkeys(str(one["state"]) for one in given))
    places = _named(one["destination"] for one in given)
    return f"yes: {states}; destination {places}; initiator {_named(o['initiator'] for o in given)}"


def _named(given: Iterable[Mapping[str, str | None]]) -> str:
    shown = dict.fromkeys(f"{name}={value}" for each in given for name, value in each.items())
    return ", ".join(shown) or "{}"


def _subject(subject: Mapping[str, Any] | None) -> str:
    if subject is None:
        return "not asked"
    return f"{subject['status']}, fields {', '.join(subject['fields']) or 'none'}; grants {subject['grants']}, permissions listed {subject['permissions']}"


def sketch_subject(status: int, body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the answer of `authorization/subjects/me`, without names."""
    given = body or {}
    grants = _objects(given.get("grants"))
    roles = [grant.get("role") for grant in grants]
    policies = [
        policy
        for role in roles
        if isinstance(role, dict)
        for policy in _objects(role.get("policies"))
    ]
    return {
        "status": status,
        "fields": sorted(word(name) or _ODD for name in given),
        "grants": len(grants),
        "permissions": sum(len(_list(policy.get("actions"))) for policy in policies),
    }


def _list(given: object) -> list[Any]:
    return given if isinstance(given, list) else []
