"""The vendor's own SDK as a client of the embedded gateway, which runs as a process of its own.

RUNNER_PYTHON names the Python that `runner` is installed for; this one has the SDK instead.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PureCloudPlatformClientV2 as sdk
import pytest
from vendor import Vendor

HERE = Path(__file__).parent
RUNNER_PYTHON = os.environ["RUNNER_PYTHON"]

Simulator = dict[str, str]


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judge") / "ledger.jsonl"


@contextmanager
def started(manifest: str, ledger: Path) -> Iterator[Simulator]:
    """Start the gateway; give what it says of itself."""
    command = [
        *(RUNNER_PYTHON, "-m", "runner", "simulate", "--platform", "genesys-cloud"),
        *("--manifest", str(HERE / manifest), "--port", "0"),
        *("--ledger", str(ledger)),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parents[1]
    )
    assert process.stdout is not None
    assert process.stderr is not None
    told: Simulator = {}
    for line in process.stdout:
        name, _, value = line.strip().partition(": ")
        told[name] = value
        if name == "client_secret":
            break
    else:
        pytest.fail(process.stderr.read())
    try:
        yield told
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.fixture(scope="session")
def simulator(ledger: Path) -> Iterator[Simulator]:
    with started("organisation.yaml", ledger) as told:
        yield told


@pytest.fixture(scope="session")
def vendor(simulator: Simulator) -> Vendor:
    """Log in as the SDK does."""
    return logged_in(simulator)


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    """Log in to an organisation where people do things of their own."""
    with started("busy.yaml", tmp_path_factory.mktemp("busy") / "ledger.jsonl") as told:
        yield logged_in(told)


def logged_in(told: Simulator) -> Vendor:
    client = sdk.ApiClient(host=told["api_url"])
    return Vendor(client.get_client_credentials_token(told["client_id"], told["client_secret"]))
