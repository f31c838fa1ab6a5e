"""Does things to a fleet of real workers, and lets the gateway's ledger judge.

    python -m tests.chaos.nemesis [--faults 12] [--seed 1] [--kinds kill,stop] [--promises nothing,dedupes]
        [--at-once 2] [--lease 3]

Each fault meets the worker that carries the batch, a few frames after the last one: it is killed; it is
stopped by SIGSTOP and wakes after another took over; it is stopped right before it writes a frame; the
database is stopped at once; its connection to the database holds what it was sent, and delivers it late;
the gateway's sessions are cut; the time of day jumps on all hosts; the database's primary is lost, and its
synchronous standby takes its place. Every host's time of day is off, and the clocks that count leases run
apart by up to 12 %. Workers are forked from a process that has imported the program. `--plant` makes a
mistake on purpose, which has to be found. `--at-once` shares the faults out among processes, each with a
database server and a gateway of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any
from urllib.parse import quote

import yaml

from runner.core.journal_location import JournalLocation
from runner.journals import create_journal
from runner.ports.journal_access import Durability
from tests.chaos.forks import Forked, Zygote
from tests.chaos.held_connection import HeldConnection
from tests.chaos.patroni_cluster import PatroniCluster
from tests.chaos.server_pair import ServerPair
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.postgres_server import binary, connect, execute, fresh_database, server, server_user

KINDS = (
    "kill", "stop", "stop-at-write", "database", "partition", "cut", "clock", "failover",
)  # fmt: skip
ALONE = frozenset({"stop-at-write", "clock", "failover"})
"""Kinds that a batch of their own is played with."""

NOT_FOLLOWED = frozenset({"cut", "clock", "failover"})
"""Kinds after which the same worker may go on."""

PROMISES: Mapping[str, Mapping[str, str] | None] = {
    "nothing": None,
    "dedupes": {"dedupes": "1h"},
    "expires": {"expires": "3s", "visible": "100ms"},
}
EXPIRES_S = 3.0
PLANTS = ("blind-takeover", "no-fence", "asynchronous-standby")
TTL_S = 2.0
UNDISTURBED_TTL_S = 10.0
"""The lease where no takeover may come of it: a starved machine must not lead to one either."""

RATE, BURST = 60, 1
SEEDS_EACH = 100_000
"""How far the seeds of processes that share a campaign lie apart."""
PATIENCE_S = 1800.0

PLANTED_PATIENCE_S = 60.0
"""How long a batch may take whose workers make a mistake on purpose: it may never end."""


@dataclass
class Verdict:
    """What came of it. All counts from `twice` to `needless` have to be 0."""

    promise: str
    transfers: int
    faults: dict[str, int]
    moved: int
    in_doubt: int
    twice: int
    lost: int
    wrong: int
    unjournalled: int  # frames without a durable intent
    broken: int
    unfinished: int  # batches that did not end in time
    too_fast: int  # frames above rate + burst in the fullest second, as they were sent
    needless: int  # takeovers though only clocks jumped
    takeovers: int
    fullest_s: int  # frames in the fullest second, as they were sent
    arrived_s: int  # the same, as they arrived
    took_s: list[float] = field(default_factory=list)  # from `kill -9` to the next owner
    lapsed_s: list[float] = field(default_factory=list)  # from SIGSTOP to the next owner

    @property
    def is_clean(self) -> bool:
        """Whether nobody was moved twice, lost, or reported wrongly, and the chain holds."""
        return not (
            self.twice
            or self.lost
            or self.wrong
            or self.unjournalled
            or self.broken
            or self.unfinished
            or self.too_fast
            or self.needless
        )


class Rig:
    """A gateway, a database, three workers, and one batch."""

    def __init__(
        self,
        folder: Path,
        gateway: Gateway,
        chance: random.Random,
        *,
        promise: str,
        transfers: int,
        plant: str | None,
        pair: ServerPair | PatroniCluster | None,
        zygote: Zygote,
        ttl_s: float = TTL_S,
    ) -> None:
        self.lapsed_s: list[float] = []
        self.pair = pair
        self._zygote = zygote
        self._ttl_s = ttl_s
        self._asked = Asked()
        self.url = fresh_database() if pair is None else pair.url("fleet")
        self.gateway = gateway
        self.promise = promise
        self._chance = chance
        self._folder = folder
        self._plant = plant
        self._names = count(1)
        self.alive: dict[str, Forked] = {}
        self.links: dict[str, HeldConnection] = {}
        self.ids = [f"i-{n}" for n in range(transfers)]
        self.content = manifest(
            gateway,
            [transfer(each) for each in self.ids],
            preflight=promise != "nothing",
            limits={"rate": f"{RATE}/s", "burst": BURST, "in_flight": 8},
        )
        self.content["policy"]["negotiation_timeout"] = "1s"
        if promise != "nothing":
            self.content["gateways"]["edge"]["delivery"] = dict(PROMISES[promise] or {})
            self.content["policy"]["retry"]["attempts"] = 8

    def start(self, *, stop_at_write: int = 0) -> str:
        """Start one more worker, as on a host of its own; return its name."""
        name, url = f"w{next(self._names)}", self.url
        if self.pair is None:
            link = HeldConnection(_socket_of_server(), self._folder / f"pg-{name}")
            self.links[name] = link
            url = url.replace(server().partition("host=")[2], quote(str(link.folder), safe="/"))
        keys = {
            "worker": name, "journal": url, "lease": f"{self._ttl_s:g}s",
            "report_dir": str(self._folder / "reports"), "state_dir": str(self._folder / name),
        }  # fmt: skip
        own = {key: self.content[key] for key in ("environments", "gateways")}
        config = self._folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(keys | own))
        marks = {
            "NEMESIS_STOP_AT_WRITE": str(stop_at_write),
            "NEMESIS_PLANT": self._plant or "",
            "NEMESIS_CLOCK": str(self._clock(name)),
            "NEMESIS_PACE": str(self._chance.choice((1.0, 1.0, 0.94, 1.06))),
            "NEMESIS_SENT": str(self._folder / f"{name}.sent"),
        }
        log = self._folder / f"{name}.log"
        log.touch()
        self.alive[name] = self._zygote.start(
            ["worker", "--config", str(config)], self._folder, str(log), str(log),
            env=marks | {"RUNNER_LOG_FORMAT": "json"}, program="nemesis-worker",
        )  # fmt: skip
        return name

    def _clock(self, name: str) -> Path:
        """Return the file that says by how much a worker's time of day is off."""
        path = self._folder / f"{name}.clock"
        # What expires is judged by the message's own time: there hosts keep to theirs.
        skews = (0, 0.5, -0.5) if self.promise == "expires" else (0, 2, -2, 3600, -3600)
        path.with_suffix(".new").write_text(str(self._chance.choice(skews)))
        return path.with_suffix(".new").replace(path)

    def step_clocks(self) -> None:
        """Let the time of day jump on every host."""
        for name in self.alive:
            self._clock(name)

    def replace_all(self) -> None:
        """Kill all workers, and start three that do not stop."""
        self._end_all()
        for _ in range(3):
            self.start()

    def submit(self) -> None:
        """Submit the batch."""
        harness = Harness(self._folder, {"RUNNER_JOURNAL": self.url})
        ended = harness.run("submit", harness.write(self.content))
        assert ended.code == 0, ended.err

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows; none while the database is away."""
        return self._asked(self.url, query)

    def sent(self) -> list[float]:
        """Return when frames were written, on all hosts; seconds of one clock."""
        files = self._folder.glob("*.sent")
        return sorted(float(line) for file in files for line in file.read_text().splitlines())

    def is_done(self) -> bool:
        """Return whether the submission is over."""
        rows = self.ask("SELECT state FROM runner.submissions")
        return bool(rows) and rows[0][0] not in {"waiting", "running"}

    def carrier(self) -> tuple[str, int] | None:
        """Return which worker carries the batch now, and its epoch."""
        rows = self.ask(
            "SELECT s.worker, l.epoch FROM runner.submissions s JOIN runner.lanes l USING (lane)"
            " WHERE s.state = 'running' AND l.owner IS NOT NULL"
        )
        return (rows[0][0], rows[0][1]) if rows and rows[0][0] in self.alive else None

    def close(self) -> None:
        """End the workers, stopped or not."""
        self._end_all()
        self._asked.close()
        for link in self.links.values():
            link.close()

    def _end_all(self) -> None:
        for process in self.alive.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            end(process)
        self.alive.clear()


class Asked:
    """One connection for what is looked at again and again; another one once it is lost."""

    def __init__(self) -> None:
        self._connection: Any = None

    def __call__(self, url: str, query: str) -> list[tuple[Any, ...]]:
        """Return a query's rows; none while the database is away."""
        try:
            if self._connection is None:
                self._connection = connect(url)
            return list(self._connection.execute(query.encode()).fetchall())
        except Exception:  # noqa: BLE001 - whatever it is, the database is asked anew next time
            self.close()
            return []

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def end(process: Forked) -> None:
    """Kill a worker."""
    process.kill()
    process.wait(PATIENCE_S)


def until(is_there: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Return what `is_there` returns once that is true, or its last answer."""
    end = time.monotonic() + patience_s
    while not (found := is_there()) and time.monotonic() < end:
        Event().wait(0.03)
    return found


def play(
    rig: Rig,
    chance: random.Random,
    kinds: tuple[str, ...],
    faults: int,
    patience_s: float = PATIENCE_S,
) -> tuple[Counter[str], list[float]]:
    """Do `faults` things to the worker with the batch; return them by kind, and the takeovers' times.

    The batch has `patience_s` to come to its end after the last of them.
    """
    done: Counter[str] = Counter()
    took: list[float] = []
    at_write = kinds == ("stop-at-write",)
    for _ in range(3):
        rig.start(stop_at_write=chance.randint(3, 20) if at_write else 0)
    rig.submit()
    while done.total() < faults and not rig.is_done():
        kind = chance.choice(kinds)
        if kind == "clock":
            Event().wait(0.4 * chance.random())
        elif kind != "stop-at-write":
            _let_some_pass(rig, chance.randint(1, max(2, len(rig.ids) // (2 * faults))))
        if (carrier := rig.carrier()) is None:
            continue
        at = time.monotonic()
        done[kind] += 1
        _fault(rig, chance, kind, *carrier)
        if kind in NOT_FOLLOWED:
            continue
        if _is_followed(rig, carrier[1]) and kind == "kill":
            took.append(time.monotonic() - at)
    if at_write:  # each that is left would stop some time, and none would wake it
        rig.replace_all()
    until(rig.is_done, patience_s)
    return done, took


def _let_some_pass(rig: Rig, more: int) -> None:
    seen = len(rig.gateway.frames)
    until(lambda: len(rig.gateway.frames) >= seen + more or rig.is_done(), 30.0)


def _is_followed(rig: Rig, epoch: int, patience_s: float = 30.0) -> bool:
    """Wait until another epoch carries the batch, or it is over; return whether it came to that."""

    def is_there() -> bool:
        found = rig.carrier()
        return rig.is_done() or (found is not None and found[1] > epoch)

    return bool(until(is_there, patience_s))


def _fault(rig: Rig, chance: random.Random, kind: str, name: str, epoch: int) -> None:
    around: dict[str, Callable[[], None]] = {"cut": rig.gateway.cut_all, "clock": rig.step_clocks}
    if rig.pair is not None:
        around["failover"] = rig.pair.fail_over
    if kind in around:
        around[kind]()
        return
    process = rig.alive[name]
    match kind:
        case "kill":
            end(rig.alive.pop(name))
            rig.start()
        case "stop":
            process.send_signal(signal.SIGSTOP)
            at = time.monotonic()
            if chance.random() < 0.7 and _is_followed(rig, epoch, 5 * TTL_S):
                rig.lapsed_s.append(time.monotonic() - at)
            Event().wait(chance.random())
            process.send_signal(signal.SIGCONT)
        case "stop-at-write":
            if not until(lambda: _is_stopped(process.pid) or rig.is_done(), 30.0):
                return
            _is_followed(rig, epoch, 5 * TTL_S)
            Event().wait(chance.random())
            process.send_signal(signal.SIGCONT)
            Event().wait(0.3)
            end(rig.alive.pop(name))
            rig.start(stop_at_write=chance.randint(3, 20))
        case "database":
            _restart_server(chance.random() * 1.5 * TTL_S)
        case _:
            rig.links[name].hold()
            if chance.random() < 0.7:
                _is_followed(rig, epoch, 5 * TTL_S)
            rig.links[name].release()


def _is_stopped(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def _socket_of_server() -> Path:
    folder = Path(server().partition("host=")[2])
    return next(folder.glob(".s.PGSQL.*[0-9]"))


def _restart_server(pause_s: float) -> None:
    data = server().partition("host=")[2]
    user = server_user()

    def control(*words: str) -> None:
        subprocess.run(
            [binary("pg_ctl"), "-D", data, "-w", *words],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            user=user, cwd="/",
        )  # fmt: skip

    options = (Path(data) / "postmaster.opts").read_text().split(maxsplit=1)[1].strip()
    control("stop", "-m", "immediate")
    Event().wait(pause_s)
    control("start", "-o", options, "-l", f"{data}/log")


def judge(rig: Rig, done: Counter[str], took: list[float]) -> Verdict:
    """Compare the journal with the gateway's ledger, transfer by transfer."""
    moved = Counter(effect.interaction_id for effect in rig.gateway.effects)
    states: dict[str, list[str]] = {}
    for name, state in rig.ask("SELECT interaction_id, state FROM runner.transfers ORDER BY id"):
        states.setdefault(name, []).append(state)
    held = {
        name for name, told in states.items() if {"sending", "unknown", "resending"} & set(told)
    }
    carried = {name for name, told in states.items() if "transferred" in told}
    harness = Harness(rig._folder, {"RUNNER_JOURNAL": rig.url})
    verified = harness.run("audit", "verify", "latest", "--journal", rig.url)
    [(epochs,)] = rig.ask("SELECT max(epoch) FROM runner.lanes")
    is_done = rig.is_done()
    sent = _fullest(rig.sent())
    intended = {name for (name,) in rig.ask("SELECT message_id FROM runner.deliveries")}
    return Verdict(
        promise=rig.promise,
        transfers=len(rig.ids),
        faults=dict(done),
        moved=len(moved),
        in_doubt=len(held),
        twice=sum(times > 1 for times in moved.values()),
        lost=is_done and sum(not moved[name] and name not in held for name in rig.ids),
        wrong=sum(bool(moved[name]) and name not in held | carried for name in rig.ids),
        unjournalled=sum(frame.id not in intended for frame in rig.gateway.frames),
        broken=int(verified.code != 0),
        unfinished=int(not is_done),
        too_fast=max(0, sent - RATE - BURST),
        needless=epochs - 1 if set(done) == {"clock"} else 0,
        takeovers=epochs - 1,
        fullest_s=sent,
        arrived_s=_fullest([frame.at for frame in rig.gateway.frames]),
        took_s=[round(each, 2) for each in took],
        lapsed_s=[round(each, 2) for each in rig.lapsed_s],
    )


def _fullest(times: list[float]) -> int:
    """Return how many fall into the fullest second."""
    most = begin = 0
    for end, at in enumerate(times):
        while times[begin] <= at - 1.0:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def rehearse(
    *,
    kinds: tuple[str, ...],
    faults: int,
    seed: int,
    transfers: int,
    promise: str = "nothing",
    plant: str | None = None,
    zygote: Zygote | None = None,
    patroni: str | None = None,
    ttl_s: float = TTL_S,
) -> Verdict:
    """Play one batch, and judge it."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        if zygote is None:
            zygote = Zygote()
            stack.callback(zygote.close)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nemesis-")))
        folder.chmod(0o755)
        pair: ServerPair | PatroniCluster | None = None
        if "failover" in kinds:
            pair = _cluster(plant, patroni, chance)
            stack.enter_context(pair)
            _make_journal(pair, plant)
        gateway = stack.enter_context(
            Gateway(
                expires_s=EXPIRES_S if promise == "expires" else None, dedupes=promise == "dedupes"
            )
        )
        rig = Rig(
            folder, gateway, chance, promise=promise, transfers=transfers, plant=plant, pair=pair,
            zygote=zygote, ttl_s=UNDISTURBED_TTL_S if kinds == ("clock",) else ttl_s,
        )  # fmt: skip
        stack.callback(rig.close)
        _script(gateway, rig.ids, chance, promise)
        # A mistake may leave a journal that no other worker goes on with.
        done, took = play(rig, chance, kinds, faults, PLANTED_PATIENCE_S if plant else PATIENCE_S)
        Event().wait(1.0)  # what is late may still come
        return judge(rig, done, took)


def _script(gateway: Gateway, ids: list[str], chance: random.Random, promise: str) -> None:
    """Let some answers never come, and some sessions be cut or read late."""
    again = [] if promise == "nothing" else [Step()]
    odd = chance.sample(ids, len(ids) // 25)
    for each in odd:
        # Who forgets a message that it was given, and knows its id, does not dedupe.
        step = Step(mute=True, effect=promise == "dedupes" or chance.random() < 0.5)
        gateway.scripts[each] = [step, *again]
    for each in odd[: len(odd) // 4]:
        gateway.scripts[each] = [Step(stall_s=1.5 * TTL_S * chance.random()), Step()]


def _cluster(
    plant: str | None, patroni: str | None, chance: random.Random
) -> ServerPair | PatroniCluster:
    if patroni is not None:
        return PatroniCluster(Path(patroni), chance)
    return ServerPair(is_synchronous=plant != "asynchronous-standby")


def _make_journal(pair: ServerPair | PatroniCluster, plant: str | None) -> None:
    execute(pair.only_primary("postgres"), "CREATE DATABASE fleet")
    durability = Durability.ACCEPT_LOSS if plant else Durability.SYNCHRONOUS
    create_journal(JournalLocation(pair.only_primary("fleet")), durability)


def chosen_kinds(chosen: tuple[str, ...], seed: int) -> tuple[str, ...]:
    """Return the kinds of one batch: every fourth has one that is played alone."""
    alone = [kind for kind in chosen if kind in ALONE]
    mixed = tuple(kind for kind in chosen if kind not in ALONE)
    if alone and (not mixed or seed % 4 == 0):
        return (alone[seed // 4 % len(alone)],)
    return mixed


def campaign(options: argparse.Namespace) -> Iterator[tuple[int, Verdict]]:
    """Play batches until the faults are done; yield each one's seed and verdict."""
    chosen, promises = tuple(options.kinds.split(",")), options.promises.split(",")
    left, seed = options.faults, options.seed
    zygote = Zygote()
    try:
        while left > 0:
            kinds = chosen_kinds(chosen, seed)
            most = max(1, options.each // 4) if "failover" in kinds else options.each
            found = rehearse(
                kinds=kinds, faults=min(left, most), seed=seed, transfers=options.transfers,
                promise=promises[seed % len(promises)], plant=options.plant, zygote=zygote,
                patroni=options.patroni, ttl_s=options.lease,
            )  # fmt: skip
            yield seed, found
            left, seed = left - max(1, sum(found.faults.values())), seed + 1
    finally:
        zygote.close()


def shared_campaign(options: argparse.Namespace) -> Iterator[tuple[int, Verdict]]:
    """Share a campaign out among processes of their own; yield as `campaign` does."""
    verdicts: Queue[tuple[int, Verdict] | None] = Queue()
    own = vars(options) | {"at_once": 1, "faults": -(-options.faults // options.at_once)}

    def play_share(number: int) -> None:
        given = own | {"seed": options.seed + number * SEEDS_EACH}
        words = [f"--{k.replace('_', '-')}={v}" for k, v in given.items() if v is not None]
        command = [sys.executable, "-m", __spec__.name, *words]
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout or ():
                    told = json.loads(line)
                    if "seed" in told:
                        verdicts.put((told.pop("seed"), Verdict(**told)))
            assert process.returncode in {0, 1}, f"share {number} ended by itself"
        finally:
            verdicts.put(None)

    with ThreadPoolExecutor(options.at_once) as pool:
        shares = [pool.submit(play_share, number) for number in range(options.at_once)]
        for _ in shares:
            yield from iter(verdicts.get, None)
        for share in shares:
            share.result()


def main() -> int:
    """Play until the faults are done; print each verdict and the sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--transfers", type=int, default=1000)
    parser.add_argument("--each", type=int, default=20, help="faults of one batch")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--promises", default=",".join(PROMISES))
    parser.add_argument("--plant", choices=PLANTS)
    parser.add_argument("--lease", type=float, default=TTL_S, metavar="SECONDS")
    parser.add_argument("--patroni", metavar="PROGRAMS", help="see tests/chaos/patroni_cluster.py")
    parser.add_argument("--at-once", type=int, default=1, help="processes that share the faults")
    options = parser.parse_args()
    play_all = shared_campaign if options.at_once > 1 else campaign
    found: list[Verdict] = []
    for seed, verdict in play_all(options):
        sys.stdout.write(json.dumps({"seed": seed} | asdict(verdict)) + "\n")
        sys.stdout.flush()
        found.append(verdict)
    sys.stdout.write(json.dumps({"total": totals(found)}) + "\n")
    return 0 if all(each.is_clean for each in found) else 1


def totals(found: list[Verdict]) -> dict[str, Any]:
    """Sum verdicts up, by promise and in all; the fullest seconds and the takeovers' times beside it."""
    sums: dict[str, Counter[str]] = {}
    for verdict in found:
        counts = {name: value for name, value in asdict(verdict).items() if isinstance(value, int)}
        del counts["fullest_s"], counts["arrived_s"]
        counts |= {"batches": 1, "faults": sum(verdict.faults.values())}
        counts |= {f"faults: {kind}": times for kind, times in verdict.faults.items()}
        for name in ("all", verdict.promise):
            sums.setdefault(name, Counter()).update(counts)
    killed = _times([each for verdict in found for each in verdict.took_s])
    lapsed = _times([each for verdict in found for each in verdict.lapsed_s])
    return sums | {
        "takeovers after a kill": killed,
        "takeovers after a lapsed lease": lapsed,
        "fullest second sent": max(each.fullest_s for each in found),
        "fullest second arrived": max(each.arrived_s for each in found),
    }


def _times(took: list[float]) -> dict[str, float]:
    """Sum up times in seconds."""
    if not took:
        return {"count": 0}
    took = sorted(took)
    return {
        "count": len(took),
        "median s": statistics.median(took),
        "p95 s": took[math.ceil(0.95 * len(took)) - 1],
        "longest s": took[-1],
    }


if __name__ == "__main__":
    os.environ.setdefault("RUNNER_REQUIRE_ALL", "1")
    sys.exit(main())
