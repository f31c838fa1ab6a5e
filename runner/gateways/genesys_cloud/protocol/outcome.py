"""Judges what came of a command by what is read later (genesys-cloud.md, "Order of work", 5)."""

from __future__ import annotations

from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.doubt_evidence import Baseline, has_arrived
from runner.gateways.genesys_cloud.protocol.command import QUEUE
from runner.gateways.genesys_cloud.protocol.conversation import Reading, Setback


def has_moved(before: Reading, now: Reading, destination_uri: str) -> bool:
    """Return whether the customer has arrived at a command's destination."""
    return has_arrived(now.interaction, Baseline.of(before.interaction), destination_uri)


def find_failure(before: Reading, now: Reading, destination_uri: str) -> Setback | None:
    """Return the failure of an accepted command: the only transfer that is new since `before`.

    It comes before an arrival: a leg at the destination may have died at once. None: there is no
    failure, or the customer is at the destination all the same.
    """
    came = now.transfer_ids - before.transfer_ids
    failure = next((each for each in now.setbacks if {each.id} == came), None)
    if failure is None or failure.is_foreign:
        return None
    is_there = same_destination(now.interaction.destination_uri, destination_uri)
    if is_there and has_moved(before, now, destination_uri):
        return None
    if failure.destination_uri is None:  # the platform may leave a queue out
        return failure if destination_uri.startswith(QUEUE) else None
    return failure if same_destination(failure.destination_uri, destination_uri) else None
