"""What holds for every test."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("runner", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("runner")

_TESTS = count(1)


@pytest.fixture(autouse=True)
def _own_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Give each test a registry of gateways of its own: addresses on loopback come again."""
    folder = tmp_path_factory.getbasetemp() / "state" / str(next(_TESTS))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
