"""What the gateway's tests share: its constraints, and literal frames of the protocol."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.core.manifest.model import GatewayConstraints, SimulatorOptions
from runner.simulator.interaction_transfer.server import SimulatorServer
from tests.simulator.clients import KNOWN, PLAIN, Start

FRAME = """{"type": "interaction.transfer",
 "id": "0e0f3a52-5b0c-4f5e-9d3a-2f6f1c1f7a10",
 "interaction_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
 "destination_uri": "genesys://queue/billing-new",
 "media_matrix": {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16},
                  "video": {"codec": "vp8", "resolution": "1280x720", "fps": 30,
                            "bandwidth_kbps": 1200}},
 "timestamp": "2026-12-01T21:00:00.123456Z",
 "triggers": {"codec_negotiation": true, "format_verification": true}}"""

SENT_AT = 1796158800.123456
"""The frame's timestamp, in seconds since the epoch."""

Frames = Callable[..., str]


@pytest.fixture
def constraints() -> GatewayConstraints:
    return GatewayConstraints("edge-ams", 2048, ("opus", "G722", "pcmu", "vp8"), 30, "1280x720")


@pytest.fixture
def frame() -> Frames:
    """Return the literal frame, with what is given put in the place of its fields."""

    def build(**changes: object) -> str:
        return json.dumps(json.loads(FRAME) | changes) if changes else FRAME

    return build


@pytest.fixture
def sent_at() -> float:
    return SENT_AT


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=simulator"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *(
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-addext",
                "keyUsage=critical,digitalSignature,keyCertSign",
            ),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture
async def start(constraints: GatewayConstraints) -> AsyncIterator[Start]:
    """Start gateways that are stopped after the test."""
    async with AsyncExitStack() as stack:

        async def begin(options: SimulatorOptions = PLAIN, **more: Any) -> SimulatorServer:
            server = SimulatorServer(constraints, options, **{"server_options": KNOWN} | more)
            await server.start()
            stack.push_async_callback(server.stop)
            return server

        yield begin


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client
