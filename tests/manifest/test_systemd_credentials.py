"""A secret may be a credential that systemd hands to a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.manifest.model import Secret
from runner.manifest.secret_references import Unresolvable, resolve_secret


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def resolved(name: str) -> Secret | None:
    return resolve_secret({"systemd": name}, Path("/elsewhere"), offline=True)


def test_a_credential_is_read_from_the_services_folder(credentials: Path):
    (credentials / "genesys_client_secret").write_text("canary\n")
    assert resolved("genesys_client_secret") == Secret("canary")


def test_a_missing_credential_is_named_with_the_line_for_the_service(credentials: Path):
    with pytest.raises(Unresolvable, match="the systemd credential `crm` cannot be read") as caught:
        resolved("crm")
    assert str(credentials) not in str(caught.value)
    assert caught.value.fix.startswith("add `LoadCredential=crm:PATH` to the service")


def test_outside_a_service_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(Unresolvable, match="CREDENTIALS_DIRECTORY is not set") as caught:
        resolved("crm")
    assert "LoadCredential=" in caught.value.fix
