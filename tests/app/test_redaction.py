"""From the loading of a manifest on, its secrets are taken out of the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE_S

CANARY = "canary5b1e77aa00canary5b1e77aa00"
MANIFEST = f"""\
version: 1
name: batch
environments:
  {CANARY}:
    driver: simulator
    gateway: edge
    simulator: {{latency: 1ms}}
gateways:
  edge: {{max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}}
media:
  voice: {{audio: {{codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}}
callbacks:
  crm: {{url: "http://127.0.0.1:1/", secret: {{env: CRM_SECRET}}, on: [rejected]}}
defaults: {{callbacks: [crm]}}
transfers:
  - interaction_id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301
    destination_uri: genesys://queue/a
    media: voice
"""


def logged(folder: Path, *options: str) -> str:
    """Return the log of a command that reads a manifest which calls an environment like its secret."""
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "runner", "apply", "manifest.yaml", *options],
        cwd=folder,
        env=os.environ | {"CRM_SECRET": CANARY},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 0, ended
    return ended.stderr


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_secret_that_stands_elsewhere_too_is_not_logged(tmp_path: Path, form: str) -> None:
    log = logged(tmp_path, "--log-format", form)
    assert "[redacted]" in log
    assert CANARY not in log
