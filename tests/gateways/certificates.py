"""Makes certificates with the `openssl` command."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

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
