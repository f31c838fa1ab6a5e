"""Makes the gates of a run, with the address checks of callbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.approvals import changed_commands
from runner.core.manifest.model import Manifest
from runner.gates.manifest_gates import ManifestGates
from runner.ports import CapacityObserver, Gateway
from runner.webhooks.addresses import check_addresses, resolve_by_system

if TYPE_CHECKING:
    import httpx


def gates_of(
    manifest: Manifest, gateway: Gateway, commands: Mapping[str, str] | None = None
) -> ManifestGates | None:
    """Return what asks a manifest's gates, those of queues by the run's gateway; None: it has none.

    `commands` are the digests of commands' files that were approved; None: none had to be.
    """
    if not manifest.gates:
        return None
    return ManifestGates(
        manifest.gates,
        Path(manifest.path).parent,
        locate,
        is_simulated=manifest.environment.is_simulated,
        observer=gateway if isinstance(gateway, CapacityObserver) else None,
        changed=tuple if commands is None else partial(changed_commands, manifest, commands),
    )


async def locate(url: httpx.URL, allow_private: bool) -> Sequence[str] | str:  # noqa: FBT001 - as its type has it
    """Return the addresses of a URL, unless one of them is not to be asked."""
    host = url.raw_host.decode("ascii").strip("[]")
    try:
        found = await resolve_by_system(host, url.port or (443 if url.scheme == "https" else 80))
    except (OSError, UnicodeError):
        found = []
    objection = check_addresses(
        found, encrypted=url.scheme == "https", allow_private=allow_private, simulated=False
    )
    if objection is None:
        return found
    return objection.reason
