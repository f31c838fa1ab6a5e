"""Measures how much of the platform's allowance a run of the driver `genesys-cloud` uses.

Run it as `python benchmarks/genesys.py`. The embedded platform, in a process of its own, allows
`PER_MINUTE` requests a minute (6,000: twenty times the real 300) and says so in its headers; a run
moves `CONVERSATIONS` (2,000) conversations with two requests each. Exit code 1 if less than 95 % of the
allowance is used between the first and the last command, or if a request is refused with 429. On a
busy machine use a smaller `PER_MINUTE`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from table import Row, print_rows

CONVERSATIONS = int(os.environ.get("CONVERSATIONS", "2000"))
PER_MINUTE = int(os.environ.get("PER_MINUTE", "6000"))
REQUESTS_EACH = 2
WANTED_SHARE = 0.95
ROOT = Path(__file__).parents[1]
SECRET = "benchmark"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "RUNNER_SIMULATE_CLIENT_SECRET": SECRET,
    "BENCHMARK_ID": "benchmark",
    "BENCHMARK_SECRET": SECRET,
}
MANIFEST = """\
version: 1
name: allowance
environment: {environment}
environments:
  served: {{driver: simulator, gateway: cloud, simulator: {{platform: genesys-cloud, http_rate: {rate}/min}}}}
  platform:
    driver: genesys-cloud
    endpoints: {{token_url: "{token_url}", api_url: "{api_url}"}}
    credentials: {{client_id: {{env: BENCHMARK_ID}}, client_secret: {{env: BENCHMARK_SECRET}}}}
    gateway: cloud
    limits: {{http_rate: {rate}/min}}
gateways: {{cloud: {{max_bandwidth_kbps: 1024, supported_codecs: [opus], max_fps: 30}}}}
media: {{voice: {{audio: {{codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}}}}
defaults: {{media: voice, destination_uri: "genesys://queue/{queue}"}}
transfers: [{{from: conversations.jsonl}}]
"""


def rows(where: Path) -> Iterator[Row]:
    """Serve, move, measure; yield the table's row."""
    lines = (json.dumps({"interaction_id": str(uuid4())}) for _ in range(CONVERSATIONS))
    (where / "conversations.jsonl").write_text("\n".join(lines))
    queue = uuid4()
    unserved = {"token_url": "http://127.0.0.1", "api_url": "http://127.0.0.1"}
    served = _written(where / "served.yaml", "served", queue, unserved)
    with subprocess.Popen(
        [*_runner("simulate"), "--manifest", served, "--port", "0", "--client-id", "benchmark"],
        cwd=where,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as platform:
        try:
            assert platform.stdout is not None
            told = dict(platform.stdout.readline().strip().split(": ", 1) for _ in range(2))
            path = _written(where / "manifest.yaml", "platform", queue, told)
            subprocess.run(
                [*_runner("apply"), path, "--yes"],
                cwd=where,
                env=ENVIRONMENT | {"XDG_STATE_HOME": str(where)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        finally:
            platform.kill()
    share = _share(where / "reports" / "allowance" / "latest")
    what = f"the platform's {PER_MINUTE:,} requests a minute: used by a run"
    yield Row(what, share * 100, None, "%", WANTED_SHARE * 100, at_least=True)


def _runner(command: str) -> list[str]:
    return [sys.executable, "-m", "runner", command]


def _written(path: Path, environment: str, queue: object, told: dict[str, str]) -> str:
    fields = {"environment": environment, "queue": queue, "rate": PER_MINUTE, **told}
    path.write_text(MANIFEST.format(**fields))
    return str(path)


def _share(report: Path) -> float:
    """Return the used share of the allowance, by a report; every transfer moved, none refused."""
    content = json.loads((report / "report.json").read_text("utf-8"))
    attempts = [attempt for transfer in content["transfers"] for attempt in transfer["attempts"]]
    sent = sorted(datetime.fromisoformat(attempt["sent_at"]).timestamp() for attempt in attempts)
    refused = content["summary"]["rate"]["throttled"]
    moved = content["summary"]["transferred"]
    if moved != CONVERSATIONS or refused:
        raise SystemExit(f"{moved:,} of {CONVERSATIONS:,} moved, {refused} requests refused (429)")
    return (len(sent) - 1) * REQUESTS_EACH / (sent[-1] - sent[0]) / (PER_MINUTE / 60)


def main() -> int:
    """Print the row."""
    with tempfile.TemporaryDirectory() as folder:
        return print_rows(rows(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
