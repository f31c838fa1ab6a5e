"""Dials the interaction protocol's session, and renews a refused token once."""

from __future__ import annotations

from http import HTTPStatus

from runner.core.transfer.message import Classify
from runner.core.transfer.states import classify
from runner.gateways.http.errors import ConnectionFailed, HandshakeRefused, Place
from runner.gateways.http.oauth import Token, Tokens
from runner.gateways.interaction_transfer.session import Session
from runner.gateways.websocket.transport import Dial, Transport
from runner.ports import GatewayListener


class WebSocketSessionOpener:
    """Opens sessions at `place`; `meaning` returns the event of a reply's status and code."""

    def __init__(
        self, place: Place, tokens: Tokens, dial: Dial, meaning: Classify = classify
    ) -> None:
        self._place = place
        self._tokens = tokens
        self._dial = dial
        self._meaning = meaning

    async def open(self, listener: GatewayListener) -> Session:
        """Dial once. Raises `ConnectionFailed`, `NoTokenYet`, `GatewayError`."""
        token, transport = await self._dialled()
        secure = self._place.url.startswith("wss:")
        hide = self._tokens.hide
        return Session(transport, token, listener, hide, secure=secure, meaning=self._meaning)

    async def _dialled(self) -> tuple[Token, Transport]:
        """Dial; renew a refused token (401) and dial again, once."""
        token = await self._tokens.current()
        transport = await self._dial_with(token)
        if transport is None:
            token = await self._tokens.after(token)
            transport = await self._dial_with(token)
        if transport is None:
            raise ConnectionFailed(
                "the gateway refuses the session with a new token too (401)",
                "three things to check: the token (client_id, client_secret), the scopes "
                f"({self._tokens.scopes}) and the region of the endpoints",
                final=True,
            )
        return token, transport

    async def _dial_with(self, token: Token) -> Transport | None:
        """Dial once; None if the token was refused."""
        headers = {"Authorization": token.authorization, "Accept": "application/json"}
        try:
            return await self._dial(self._place.url, headers)
        except HandshakeRefused as refused:
            if refused.status == HTTPStatus.UNAUTHORIZED:
                return None
            raise
