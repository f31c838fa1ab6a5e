"""The driver's part of `doctor --probe`: checks its arguments and runs a round trip."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.queue_selection import is_id
from runner.drivers import Connection
from runner.gateways.genesys_cloud.protocol.probe_findings import Findings
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.genesys_cloud.round_trip import RoundTrip
from runner.gateways.http.client import trusted_context
from runner.gateways.websocket.transport import dialler

_DESTINATION = re.compile(r"genesys://(queue|user)/(.+)|(tel|sips?):[^\s/]+", re.DOTALL)
_MEDIA = MediaMatrix(Audio("opus", 64, 16))  # a draft has one; the platform takes none


class GenesysProber:
    """Implements `drivers.Prober`."""

    def find_fault(self, conversation_id: str, destination_uri: str) -> str | None:
        """Return why the arguments are not valid, or None; sends nothing."""
        if not is_id(conversation_id):
            return "--probe takes the id of a conversation, as the platform shows it"
        found = _DESTINATION.fullmatch(destination_uri)
        if found is None or (found[2] is not None and not is_id(found[2])):
            return (
                "--probe-to takes genesys://queue/ID, genesys://user/ID, tel:NUMBER or sip:ADDRESS"
            )
        return None

    def begin(self, about: Mapping[str, Any]) -> Findings:
        """Return empty findings with their subject."""
        return Findings(dict(about))

    async def run(
        self,
        connection: Connection,
        findings: Findings,
        conversation_id: str,
        destination_uri: str,
        *,
        keep: Callable[[], None],
        say: Callable[[str], None],
        why_shut: Callable[[], str | None],
    ) -> None:
        """Move one conversation there and back. Raises `GatewayError`."""
        rest, clock = GenesysRest.connected(connection), connection.clock
        context = trusted_context(rest.place, connection.environment.ca_file)
        try:
            visit = RoundTrip(
                rest,
                dialler(context, clock.wall, rest.tokens.hide),
                findings,
                media=_MEDIA,
                new_id=lambda: str(uuid.uuid4()),
                keep=keep,
                say=say,
                why_shut=why_shut,
            )
            await visit.run(conversation_id, destination_uri)
        finally:
            await rest.close()
