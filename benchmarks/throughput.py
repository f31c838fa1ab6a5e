"""Measures the throughput of `apply` as a ratio to a bare request/reply loop with the same server.

    python benchmarks/throughput.py [--rows 20000] [--rounds 3]

The bare loop keeps the same number of requests in flight and does nothing else: no journal, and only the
ids of the replies are read. `apply` is durable: an intent before each frame, an outcome after each reply.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.asyncio.client import connect

HERE = Path(__file__).parent
IN_FLIGHT = 256

MANIFEST = """
version: 1
name: throughput
environment: bench
environments:
  bench:
    driver: interaction-websocket
    endpoints:
      token_url: http://127.0.0.1:{http}/oauth/token
      api_url: http://127.0.0.1:{http}
      websocket_url: ws://127.0.0.1:{session}/session
    credentials: {{client_id: {{env: BENCH_ID}}, client_secret: {{env: BENCH_SECRET}}}}
    gateway: any
    limits: {{in_flight: 256}}
gateways: {{any: {{max_bandwidth_kbps: 100, supported_codecs: [opus], max_fps: 30}}}}
media: {{voice: {{audio: {{codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}}}}
defaults: {{media: voice}}
policy: {{preflight: false}}
transfers: [{{from: rows.csv}}]
"""


@contextmanager
def server(kind: str) -> Iterator[tuple[int, int]]:
    """Run one of the servers; give its ports."""
    command = [sys.executable, str(HERE / "servers.py"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            http, session = map(int, process.stdout.readline().split())
            yield http, session
        finally:
            process.kill()


async def bare(port: int, rows: int) -> float:
    """Return requests per second of the bare loop."""
    async with connect(f"ws://127.0.0.1:{port}/session", compression=None, proxy=None) as socket:
        waiting: dict[str, asyncio.Future[None]] = {}
        numbers = iter(range(rows))

        async def read() -> None:
            async for frame in socket:
                waiting.pop(json.loads(frame)["id"]).set_result(None)

        async def work() -> None:
            for number in numbers:
                message_id = str(uuid.uuid4())
                done = waiting[message_id] = asyncio.get_running_loop().create_future()
                await socket.send(request(message_id, number))
                await done

        reader = asyncio.create_task(read())
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        took_s = time.perf_counter() - began
        reader.cancel()
        return rows / took_s


def request(message_id: str, number: int) -> str:
    """Return a request as large as the runner's."""
    return json.dumps(
        {
            "type": "interaction.transfer",
            "id": message_id,
            "interaction_id": f"interaction-{number:08d}",
            "destination_uri": "genesys://queue/billing-new",
            "media_matrix": {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}},
            "timestamp": "2026-12-01T21:00:00.123456Z",
            "triggers": {"codec_negotiation": True, "format_verification": True},
        },
        separators=(",", ":"),
    )


def write_batch(folder: Path, ports: tuple[int, int], rows: int) -> None:
    """Write a manifest of `rows` transfers for a server at `ports`."""
    (folder / "manifest.yaml").write_text(MANIFEST.format(http=ports[0], session=ports[1]))
    lines = [f"interaction-{n:08d},genesys://queue/billing-new" for n in range(rows)]
    (folder / "rows.csv").write_text("\n".join(["interaction_id,destination_uri", *lines]))


def applied(folder: Path, ports: tuple[int, int], rows: int) -> tuple[float, float]:
    """Return transfers per second while carrying, and over the whole process."""
    write_batch(folder, ports, rows)
    command = [
        sys.executable, "-m", "runner", "apply", "manifest.yaml", "-q", "--output", "json",
    ]  # fmt: skip
    environment = os.environ | {
        "BENCH_ID": "id",
        "BENCH_SECRET": "secret",
        "PYTHONPATH": str(HERE.parent),
    }
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    took_s = time.perf_counter() - began
    report = json.loads((folder / "reports/throughput/latest/report.json").read_text())
    assert report["summary"]["transferred"] == rows
    return report["summary"]["rate"]["achieved_per_s"], rows / took_s


def main() -> None:
    """Print a line for each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print("server      bare/s  apply/s  ratio  whole process/s   (medians)")
    for kind in ("websockets", "aiohttp"):
        figures = []
        for _ in range(asked.rounds):
            with server(kind) as ports, tempfile.TemporaryDirectory() as folder:
                bare_rate = asyncio.run(bare(ports[1], asked.rows))
                carried, whole = applied(Path(folder), ports, asked.rows)
                figures.append((bare_rate, carried, carried / bare_rate, whole))
        bare_rate, carried, ratio, whole = map(statistics.median, zip(*figures, strict=True))
        print(f"{kind:10} {bare_rate:7.0f}  {carried:7.0f}  {ratio:5.2f}  {whole:15.0f}")


if __name__ == "__main__":
    main()
