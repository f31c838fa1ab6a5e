"""Writes manifests for tests."""

from __future__ import annotations

from pathlib import Path

HEAD = Path("tests/manifests/valid/minimal.yaml").read_text(encoding="utf-8").split("transfers:")[0]


def write(folder: Path, transfers: str, *, head: str = HEAD, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8", newline="")
    path = folder / "m.yaml"
    path.write_text(f"{head}transfers:\n{transfers}", encoding="utf-8")
    return path


LIVE = """version: 1
name: live
environments:
  live:
    driver: interaction-websocket
    region: us
    endpoints: {api_url: "http://127.0.0.1:8080/"}
    credentials:
      client_id: {file: id.txt}
      client_secret: {command: [%s, -c, "print('yranac'[::-1])"]}
    tls: {ca_file: ca.pem}
    gateway: edge
gateways: {edge: {max_bandwidth_kbps: 100, supported_codecs: [opus], max_fps: 30}}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voice, destination_uri: "genesys://queue/a"}
"""


PEM = "-----BEGIN CERTIFICATE-----\n"
