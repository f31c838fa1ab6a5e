"""Advice on transfers that did not succeed, by outcome, cause and the gateway's status.

The console and every report format take their advice from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code

_BY_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "codec_unsupported": (
            "the gateway supports none of the requested media: add a `fallback` that it supports, "
            "and its codec to `supported_codecs`, then apply again"
        ),
        "rate_limited": (
            "the gateway limited the rate during all retries: lower `limits.rate`, or ask for a "
            "higher limit; then apply again"
        ),
        "interaction_not_found": (
            "the gateway has no such interaction: check its id, and that the environment is the "
            "right one"
        ),
        "interaction_terminated": (
            "the interaction ended before it was sent: remove it from the manifest"
        ),
        "destination_unreachable": (
            "the destination exists but accepts nothing: check that the queue is open or the user "
            "is logged in, then apply again"
        ),
        "destination_invalid": "the gateway has no such destination: fix its URI, then apply again",
        "format_invalid": (
            "the gateway does not accept the message's format: compare its version with the one of "
            "this program, and report it with the audit log's entry"
        ),
        "bandwidth_exceeded": (
            "the media need more bandwidth than the gateway grants: choose a smaller matrix, or a "
            "`fallback`, then apply again"
        ),
        "not_authorized": (
            "the credentials lack a right: give the client the scopes that the manifest names, and "
            "a role that may move this interaction; then apply again"
        ),
        "transfer_rejected": (
            "the gateway refused it for the reason shown, and moved nothing: fix that at the "
            "gateway, then apply again"
        ),
        "429": (
            "the gateway limited the rate during all retries: lower `limits.rate`, or ask for a "
            "higher limit; then apply again"
        ),
    }
)
"""By the reply's status (core.transfer.states.STATUSES)."""

_BY_CODE: Mapping[str, str | None] = MappingProxyType(
    {
        **_BY_STATUS,
        Code.NOT_SELECTED: (
            "`--only` or `--limit` left these out; apply without them to send these too"
        ),
        Code.INTERACTION_MISSING: _BY_STATUS["interaction_not_found"],
        Code.INTERACTION_ENDED: "it had ended: there is nothing to move, and this counts as done",
        Code.INTERACTION_STATE_UNKNOWN: "look it up at the gateway, then apply again",
        Code.ALREADY_THERE: "it was at its destination already: this counts as done",
        Code.LOOK_UP_FAILED: (
            "the REST API did not answer: check that it is reachable, then apply again"
        ),
        Code.RETRIES_USED_UP: Outcome.FAILED.advice,
        Code.NOT_SENT: Outcome.FAILED.advice,
        Code.MESSAGE_UNFIT: _BY_STATUS["format_invalid"],
        Code.RESOLVED_FAILED: (
            "a person stated that these were not carried out: apply again to send them"
        ),
    }
)
"""By the cause, where no reply decided."""

_UNSENT: Mapping[str, str | None] = MappingProxyType(
    {
        Code.PLANNED: "apply sends these",
        Code.PLANNED_CHANGED: "apply sends these",
        Code.NOT_SELECTED: _BY_CODE[Code.NOT_SELECTED],
        Code.MOVED_ELSEWHERE_SINCE: (
            "what was in doubt about these is settled: apply again, which plans them anew"
        ),
        Code.INTERACTION_ENDED: "these have ended: apply skips them, which counts as done",
        Code.ALREADY_THERE: "these are there already: apply skips them, which counts as done",
        Code.FOUND_CARRIED_OUT: "an earlier delivery was carried out: apply settles them",
        **dict.fromkeys(
            (Code.NO_LONGER_WAITING, Code.MOVED_ON, Code.BEING_SERVED),
            "apply skips these as they are now, and looks again when their turn comes",
        ),
        **dict.fromkeys(
            (Code.INTERACTION_MISSING, Code.INTERACTION_HIDDEN, Code.DESTINATION_UNSEEN),
            "fix what the reason names before you apply: these would be refused",
        ),
        Code.INTERACTION_STATE_UNKNOWN: (
            "look these up at the gateway before you apply: they would be refused"
        ),
        Code.LOOK_UP_FAILED: "check that the gateway's REST API is reachable before you apply",
    }
)
"""By the cause, of what was not attempted: mostly what a plan foresees."""


def advice(outcome: Outcome, code: str | None, status: str | None = None) -> str | None:
    """Return advice on transfers with an outcome, in a sentence; None: nothing to do.

    `code` is the cause (core.transfer.reasons), `status` the last reply's. The status is used only
    for rejected and failed transfers.
    """
    if not outcome.was_begun:
        return _UNSENT.get(code or "", outcome.advice)
    if outcome is Outcome.IN_DOUBT:
        return outcome.advice
    by_code = _BY_CODE.get(code or "")
    if by_code is not None or not outcome.is_failure:
        return by_code
    return _BY_STATUS.get(status or "", outcome.advice)
