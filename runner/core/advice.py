"""What to do about a transfer that did not succeed: by its outcome, and by what was said of it.

The console and every form of the report take their words from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from runner.core.outcome import Outcome

NEXT: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.IN_DOUBT: (
            "each may or may not have been carried out, and none is sent again blindly: look each "
            "one up at the gateway, by its interaction id and message id in the report; applying "
            "again looks them up too, and settles those that show evidence; what you know yourself "
            "you settle with `resolve`, one at a time, by run and key"
        ),
        Outcome.REJECTED: (
            "the gateway refused these and moved nothing: mend what the reasons name, "
            "then apply again; only what is not done is sent"
        ),
        Outcome.FAILED: (
            "all retries were used up and nothing was moved: see that the gateway is well, "
            "then apply again"
        ),
        Outcome.UNATTEMPTED: "the run ended before their turn: apply again to take them up",
    }
)
"""What an operator does about an outcome, the most urgent first."""

_BY_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "codec_unsupported": (
            "the gateway takes none of the media asked for: add a `fallback` that it supports, "
            "and its codec to `supported_codecs`, then apply again"
        ),
        "rate_limited": (
            "the gateway was asked too fast for as long as retries lasted: lower `limits.rate`, or "
            "ask for a higher allowance; then apply again"
        ),
        "interaction_not_found": (
            "the gateway knows no such interaction: check its id, and that the environment is the "
            "one it lives in"
        ),
        "interaction_terminated": (
            "the interaction ended before its turn: nothing is left to move; take it out of the "
            "manifest"
        ),
        "destination_unreachable": (
            "the destination exists and takes nothing in: see that the queue is open or the user "
            "logged in, then apply again"
        ),
        "destination_invalid": "the gateway knows no such destination: mend its URI, then apply again",
        "format_invalid": (
            "the gateway does not accept the message's form: compare its version with what this "
            "program speaks, and report it with the audit log's entry"
        ),
        "bandwidth_exceeded": (
            "the media need more than the gateway grants: choose a narrower matrix, or a "
            "`fallback`, then apply again"
        ),
        "not_authorized": (
            "the credentials lack a right: give the client the scopes that the manifest names, and "
            "a role that may move this interaction; then apply again"
        ),
        "transfer_rejected": (
            "the gateway refused it without a reason of its kind: look the interaction up there, "
            "then apply again"
        ),
        "429": (
            "the gateway was asked too fast for as long as retries lasted: lower `limits.rate`, or "
            "ask for a higher allowance; then apply again"
        ),
    }
)
"""By the reply's status (core.transfer.STATUSES)."""

_BY_REASON: tuple[tuple[str, str], ...] = (
    ("not selected", "`--only` or `--limit` left these out; apply without them to send these too"),
    ("interaction not found", _BY_STATUS["interaction_not_found"]),
    ("interaction is completed", "it had ended: nothing is left to move, and this counts as done"),
    ("interaction is abandoned", "it had ended: nothing is left to move, and this counts as done"),
    ("interaction is in the unknown state", "look it up at the gateway, then apply again"),
    ("already there", "it was at its destination already: this counts as done"),
    (
        "the look-up failed",
        "the REST side could not be asked: see that it is reachable, then apply again",
    ),
    ("planned: would be sent", "apply sends these"),
    ("would be sent", "apply sends these"),
    ("would be skipped", "these have ended or are there already: apply skips them, which is done"),
    ("would be found transferred", "an earlier delivery was carried out: apply settles them"),
    ("would be rejected", "mend what the reason names before you apply: these would be refused"),
    ("would fail", "see that the gateway's REST side is reachable before you apply"),
)
"""By how the reason begins, where no reply came: these are words of this program."""


def advice(outcome: Outcome, reason: str | None, status: str | None = None) -> str | None:
    """Return what to do about transfers of an outcome, in a sentence; None: nothing.

    `status` is the last reply's. Of doubts it says nothing: nobody knows whether it is the last.
    """
    if outcome is Outcome.IN_DOUBT:
        return NEXT[outcome]
    for said in (status, reason):
        if said is not None and (found := _BY_STATUS.get(said)) is not None:
            return found
    for begin, told in _BY_REASON:
        if reason is not None and reason.startswith(begin):
            return told
    return NEXT.get(outcome)
