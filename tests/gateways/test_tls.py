"""TLS with certificates made for the occasion by the `openssl` command."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import GatewayError
from tests.fakes.wire_server import WireServer
from tests.gateways.certificates import Authority
from tests.gateways.harness import Listener, gateway_to


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def failing(context: ssl.SSLContext, **options: Any) -> str:
    """Return what the operator reads when the gateway with that certificate is opened."""
    async with WireServer(tls=context) as server:
        gateway = gateway_to(server, **options)
        with pytest.raises(GatewayError) as caught:
            await gateway.open(Listener())
        await gateway.close()
        assert server.requests == []
        return str(caught.value)


async def test_a_trusted_certificate_is_used_for_all_three_endpoints(authority: Authority):
    async with WireServer(tls=authority.server_context("DNS:localhost")) as server:
        listener = Listener()
        gateway = gateway_to(server, host="localhost", ca_file=str(authority.ca_file))
        await gateway.open(listener)
        assert listener.all("opened")[0].tls == "TLSv1.3"
        assert (await gateway.look_up("i-1")).found
        await gateway.close()
        assert len(server.requests) == 3


async def test_tls_1_2_is_reported_as_such(authority: Authority):
    context = authority.server_context("DNS:localhost")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with WireServer(tls=context) as server:
        listener = Listener()
        gateway = gateway_to(server, host="localhost", ca_file=str(authority.ca_file))
        await gateway.open(listener)
        assert listener.all("opened")[0].tls == "TLSv1.2"
        await gateway.close()


async def test_an_unknown_authority_is_refused_with_the_mend(authority: Authority):
    text = await failing(authority.server_context("DNS:localhost"), host="localhost")
    assert "the TLS certificate is not valid" in text
    assert "tls.ca_file" in text


async def test_another_hosts_certificate_is_refused(authority: Authority):
    context = authority.server_context("DNS:other.example")
    text = await failing(context, host="localhost", ca_file=str(authority.ca_file))
    assert "ostname mismatch" in text
    assert "check the host name" in text


async def test_an_expired_certificate_is_refused(authority: Authority):
    context = authority.expired_context("DNS:localhost")
    text = await failing(context, host="localhost", ca_file=str(authority.ca_file))
    assert "certificate has expired" in text
    assert "clock" in text


async def test_a_plain_server_behind_https_is_told(authority: Authority):
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    context = authority.server_context("DNS:localhost")
    place = WireServer(tls=context, port=server.sockets[0].getsockname()[1])
    gateway = gateway_to(place, attempts=1, ca_file=str(authority.ca_file))
    with pytest.raises(GatewayError, match="the TLS handshake failed"):
        await gateway.open(Listener())
    await gateway.close()
    server.close()


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_an_unusable_ca_file_is_an_error(tmp_path: Path, content: str | None):
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(GatewayError, match=r"`tls\.ca_file`"):
        gateway_to(WireServer(port=1), ca_file=str(ca_file))
