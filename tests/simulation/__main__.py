"""Thousands of simulated elections: ``python -m tests.simulation --elections 10000``, or one seed with its log."""

import argparse
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

from loguru import logger

from tests.simulation.history import run
from tests.simulation.promises import BrokenPromiseError

SEEDS_AT_ONCE = 20


def main() -> int:
    """0 when every promise held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--elections", type=int, default=10_000, help="hold at least so many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--log", action="store_true", help="show what the services log")
    asked = parser.parse_args()
    logger.remove()
    if asked.log:
        logger.add(sys.stderr, level="DEBUG", format="{message}")
    if asked.seed is not None:
        return _report(*_live([asked.seed]))
    return _many(asked.elections, asked.first)


def _many(elections: int, first: int) -> int:
    began, held, injected = time.monotonic(), 0, Counter[str]()
    failures: list[str] = []
    seeds = count(first)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        while held < elections and not failures:
            batches = [list(islice(seeds, SEEDS_AT_ONCE)) for _ in range(2 * (os.cpu_count() or 1))]
            for done, broken, faults in pool.map(_live, batches):
                held += done
                failures += broken
                injected += faults
    seconds = time.monotonic() - began
    print(f"{held / seconds:.1f} elections a second, {seconds:.0f} s")
    return _report(held, failures, injected)


def _live(seeds: list[int]) -> tuple[int, list[str], Counter[str]]:
    """How many elections were held, what was broken, and which faults there were."""
    logger.remove() if len(seeds) > 1 else None
    warnings.simplefilter("ignore")
    held, broken, injected = 0, [], Counter[str]()
    for seed in seeds:
        try:
            cluster = run(seed)
        except BrokenPromiseError as broken_promise:
            broken.append(str(broken_promise))
        else:
            held += len(cluster.elections)
            injected += cluster.faults.injected
            injected += Counter(str(one.kind) for one in cluster.disturbances)
            injected["votes on record as lost"] += cluster.lost()
    return held, broken, injected


def _report(held: int, failures: list[str], injected: Counter[str]) -> int:
    for name, number in sorted(_kinds(injected)):
        print(f"{number:8} {name}")
    print(f"{held} elections, {len(failures)} promises broken")
    print("\n".join(failures))
    return bool(failures)


def _kinds(injected: Counter[str]) -> Iterator[tuple[str, int]]:
    """Failed calls by port and kind, and all else."""
    kinds = Counter[str]()
    for name, number in injected.items():
        port, dot, rest = name.partition(".")
        kinds[f"{port} {rest.partition(' ')[2]}" if dot else name] += number
    yield from kinds.items()


if __name__ == "__main__":
    sys.exit(main())
