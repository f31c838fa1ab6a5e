"""Addresses and headers of callbacks may be secrets, which are checked and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.manifest.model import Secret
from runner.manifest.sections.callbacks import NOWHERE
from tests.manifest.rendering import load_rows

MANIFEST = """\
version: 1
name: move
environments:
  rehearsal: {driver: simulator, gateway: edge}
  production:
    driver: interaction-websocket
    region: us
    credentials: {client_id: {env: HOOK_URL}, client_secret: {env: HOOK_URL}}
    gateway: edge
gateways:
  edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voice, callbacks: [crm]}
callbacks:
  crm: {url: {env: HOOK_URL}, headers: {Authorization: {env: HOOK_TOKEN}, X-Site: ams}}
  unused: {url: {env: NO_SUCH_VARIABLE_HERE}}
transfers:
  - {interaction_id: call-1, destination_uri: genesys://queue/billing}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOK_URL", "https://crm.example.net/canary-1")
    monkeypatch.setenv("HOOK_TOKEN", "Bearer canary-2")
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path / "m.yaml"


def test_a_callback_has_the_secrets_that_it_refers_to(path: Path):
    loaded, _ = load_rows(path, "production")
    assert loaded.manifest is not None
    [(name, crm)] = loaded.manifest.callbacks.items()
    assert (name, crm.url) == ("crm", Secret("https://crm.example.net/canary-1"))
    assert crm.headers == {"Authorization": Secret("Bearer canary-2"), "X-Site": "ams"}
    assert {crm.url, crm.headers["Authorization"]} <= set(loaded.manifest.secrets)
    assert "canary" not in repr(loaded)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("HOOK_URL", "http://crm.example.net/canary", "not an address that may be called"),
        ("HOOK_URL", "https://user:canary@crm.example.net/", "not an address that may be called"),
        ("HOOK_URL", "canary", "not an address that may be called"),
        ("HOOK_TOKEN", "canary\nX-Other: 1", "not printable ASCII on one line"),
    ],
)
def test_what_cannot_be_called_is_refused_without_being_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str
):
    monkeypatch.setenv(variable, text)
    loaded, _ = load_rows(path, "production")
    assert {problem.code for problem in loaded.problems} == {"R007"}
    assert message in loaded.problems[0].message
    assert "canary" not in repr(loaded.problems)


def test_a_rehearsal_needs_no_address_that_it_does_not_call(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HOOK_TOKEN")
    for url in ("https://crm.example.net/canary-1", None):
        if url is None:
            monkeypatch.delenv("HOOK_URL")
        loaded, _ = load_rows(path, "rehearsal")
        assert loaded.problems == ()
        assert loaded.manifest is not None
        assert loaded.manifest.callbacks["crm"].url == (Secret(url) if url else NOWHERE)
