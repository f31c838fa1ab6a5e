"""A run that stands still for longer than its lease: another carries its batch on, and it sends nothing."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from threading import Event

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.postgres_server import fresh_database


def test_a_run_that_is_paused_is_followed_and_sends_nothing_once_it_wakes(tmp_path: Path):
    url = fresh_database()
    with Gateway() as gateway:
        content = manifest(
            gateway,
            [transfer(f"i-{n}") for n in range(200)],
            limits={"rate": "40/s", "in_flight": 8},
        )
        hosts = [Harness(tmp_path / name) for name in ("one", "two")]
        for host in hosts:
            host.folder.mkdir()
            host.env["XDG_STATE_HOME"] = str(host.folder / "state")  # a host of its own
            host.env["RUNNER_JOURNAL"] = url
            host.write(content)
        one, two = hosts
        with one.started("apply", "batch.yaml") as paused:
            while len(gateway.effects) < 30:
                assert paused.poll() is None
                Event().wait(0.02)
            paused.send_signal(signal.SIGSTOP)
            followed = two.run("apply", "batch.yaml", "--lock-timeout", "2m")
            sent = len(gateway.frames)
            paused.send_signal(signal.SIGCONT)
            out, err = paused.communicate()
        assert paused.returncode == 75, out + err
        assert "another process has taken the journal" in out + err
        assert followed.code in {0, 6}, followed.err
        assert len(gateway.frames) == sent
        moved = Counter(effect.interaction_id for effect in gateway.effects)
        assert max(moved.values()) == 1
        status = json.loads(two.run("status", "--output", "json").out)
        assert len(moved) + status["in_doubt"] >= len(content["transfers"])
        verified = two.run("audit", "verify", "latest", "--journal", url)
        assert verified.code == 0, verified.out + verified.err
