"""TLS with certificates made for the occasion by the `openssl` command."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import GatewayError
from tests.fakes.wire_server import WireServer
from tests.gateways.rig import Listener, gateway_to

AUTHORITY = """\
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = Test authority
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
SERVER = """\
subjectAltName = {names}
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Authority:
    """A certificate authority of our own in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        # Python 3.13 verifies strictly (RFC 5280, 4.2.1): an authority must say that it signs.
        config = folder / "ca.conf"
        config.write_text(AUTHORITY)
        request = ["req", "-x509", "-config", str(config), *self._key("ca")]
        self._run(*request, "-days", "2", "-out", str(self.ca_file))

    def expired_context(self, names: str) -> ssl.SSLContext:
        """Return a server's context whose certificate has expired."""
        try:
            past = ("-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
            return self.server_context(names, *past)
        except subprocess.CalledProcessError:  # openssl before 3.4 spells it otherwise
            return self.server_context(names, "-days", "-2")

    def server_context(self, names: str, *dates: str) -> ssl.SSLContext:
        """Return a server's context whose certificate bears `names` (as openssl spells them)."""
        (self._folder / "names.ext").write_text(SERVER.format(names=names))
        self._run("req", "-subj", "/CN=gateway", *self._key("server"), "-out", self._at("csr"))
        signing = ["x509", "-req", "-in", self._at("csr"), "-CA", str(self.ca_file), "-CAkey"]
        signing += [self._at("ca.key"), "-extfile", self._at("names.ext")]
        self._run(*signing, *(dates or ("-days", "2")), "-out", self._at("server.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._at("server.pem"), self._at("server.key"))
        return context

    def _key(self, name: str) -> list[str]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*curve, "-keyout", self._at(f"{name}.key")]

    def _at(self, name: str) -> str:
        return str(self._folder / name)

    @staticmethod
    def _run(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


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
