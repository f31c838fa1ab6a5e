"""Checks the trusted certificates that environment variables name, before anything is sent."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from runner.core.errors import StorageError
from runner.core.manifest.model import Manifest

FILE, FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"


def check_trust(manifest: Manifest, environ: Mapping[str, str]) -> None:
    """Check that the certificates named by variables can be read, if a run needs any.

    OpenSSL ignores what it cannot read, and then trusts no certificate. Raises `StorageError`, naming
    the variable.
    """
    environment = manifest.environment
    is_own = environment.is_simulated or environment.ca_file is not None
    if is_own and not manifest.callbacks:
        return
    if path := environ.get(FILE):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror if type(error) is not ssl.SSLError else "it is not a PEM file"
            raise _unusable(FILE, path, why or "it cannot be read", "a PEM file") from error
    if path := environ.get(FOLDER):
        try:
            for folder in path.split(os.pathsep):
                os.scandir(folder).close()
        except OSError as error:
            why = error.strerror or "it cannot be read"
            raise _unusable(FOLDER, path, why, "a folder of certificates") from error


def _unusable(variable: str, path: str, why: str, wanted: str) -> StorageError:
    return StorageError(
        f"the variable {variable} names {path}, from where no trusted certificates can be read"
        f" ({why}); set it to {wanted}, or unset it; nothing was sent"
    )
