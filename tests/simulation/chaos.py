"""Play many seeds: `python -m tests.simulation.chaos --seeds 100000`; one: `… --seed 17 --story`.

`--driver genesys-cloud` plays them against the platform.
"""

# ruff: noqa: T201 - a script that tells what it found

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.simulation.platform_scenario import run_platform_seed
from tests.simulation.scenario import Verdict, run_seed

FIRST_DRIVER = "interaction-websocket"

DRIVERS: Mapping[str, Callable[..., Verdict]] = {
    FIRST_DRIVER: run_seed,
    "genesys-cloud": run_platform_seed,
}

SHARED_MEMORY = Path("/dev/shm")


def play(seeds: Sequence[int], workers: int, driver: str = FIRST_DRIVER) -> Iterator[Verdict]:
    """Play seeds in processes of their own, and yield their verdicts as they come."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=prepare) as pool:
        yield from pool.imap_unordered(DRIVERS[driver], seeds, chunksize=8)


def prepare() -> None:
    """Keep journals in memory where the machine offers that, and the event loop's log quiet."""
    logging.disable()
    gc.set_threshold(50_000, 20, 50)  # a seed leaves little garbage; looking for it takes a tenth
    if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK):
        tempfile.tempdir = str(SHARED_MEMORY)


def complaint(verdict: Verdict, driver: str = FIRST_DRIVER) -> str:
    """Say what a seed found, and how to see it again."""
    found = "\n".join(f"  {finding.kind}: {finding.what}" for finding in verdict.findings)
    option = "" if driver == FIRST_DRIVER else f" --driver {driver}"
    return (
        f"seed {verdict.seed}:\n{found}\n"
        f"  replay: python -m tests.simulation.chaos{option} --seed {verdict.seed} --story"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what the command line asks for; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.chaos")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--story", action="store_true", help="tell what happened in it")
    parser.add_argument("--seeds", type=int, default=100_000, help="how many to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--driver", choices=DRIVERS, default=FIRST_DRIVER)
    options = parser.parse_args(arguments)
    prepare()
    if options.seed is not None:
        verdict = DRIVERS[options.driver](options.seed, tells=options.story)
        print("\n".join(verdict.story))
        found = bool(verdict.findings)
        print(
            complaint(verdict, options.driver) if found else f"nothing found; trace {verdict.trace}"
        )
        return int(bool(verdict.findings))
    seeds = range(options.first, options.first + options.seeds)
    return _play_all(seeds, options.workers, options.driver)


def _play_all(seeds: range, workers: int, driver: str) -> int:
    began, virtual_s, found = time.monotonic(), 0.0, 0
    happened: Counter[str] = Counter()
    for verdict in play(seeds, workers, driver):
        virtual_s += verdict.virtual_s
        happened += verdict.happened
        if verdict.findings:
            found += 1
            print(complaint(verdict, driver), flush=True)
    took_s = time.monotonic() - began
    print(
        f"{len(seeds)} seeds, {found} with findings, in {took_s:.0f} s"
        f" ({len(seeds) / took_s * 60:.0f} a minute), {virtual_s / 86400:.1f} virtual days"
    )
    print("; ".join(f"{kind} {count}" for kind, count in happened.most_common()))
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
