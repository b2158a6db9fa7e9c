"""The order of the suite: what waits for clocks begins first on some workers, and what computes on the others."""

import os

import pytest

WAITING = ("tests/system/", "tests/container/", "tests/demo/", "tests/docs/", "tests/contract/test_node_")
"""Whole elections, whose tests last up to minutes and mostly wait. Begun last, they would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that wait at the head of every second worker's share.

    Shares are those of ``--dist worksteal``: as many tests for each worker, one after the other.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    waiting = [item for item in items if item.nodeid.startswith(WAITING)]
    others = [item for item in items if not item.nodeid.startswith(WAITING)]
    heads = [worker for worker in range(workers) if worker % 2 == 0]
    share = -(-len(items) // workers)
    ordered = []
    for worker in range(workers):
        head = waiting[heads.index(worker) :: len(heads)] if worker in heads else []
        rest = max(share - len(head), 0)
        ordered += head + others[:rest]
        del others[:rest]
    items[:] = ordered + others
