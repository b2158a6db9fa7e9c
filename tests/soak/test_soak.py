"""What the soak measures by, and a short one on virtual time; see also ``make soak``."""

import pytest
from loguru import logger

from node_fsm.engine.loop import Engine
from tests.simulation.disturbance import Kind
from tests.soak import virtual
from tests.soak.figures import Figure, Figures, slope

FEW = 10
LIMIT = 150.0
"""Blocks an election: so few of them say no more."""


def test_a_slope_is_that_of_most_points() -> None:
    assert slope([(x, 3 * x + 7) for x in range(9)]) == 3
    assert slope([(x, 5) for x in range(9)]) == 0
    assert slope([(x, 1000 if x == 4 else 5) for x in range(9)]) == 0
    assert slope([(x, 3 * x) for x in range(4)]) == 0, "too few to say anything"


def test_what_grows_is_named() -> None:
    figures = Figures()
    for held in range(10):
        figures.note("threads", "threads", held, held=held, limit=0.5)
        figures.note("resident", "KiB", 100, held=held, limit=0.5)
    assert figures.growing() == ["threads grows by 1 threads an election, more than 0.5"]
    assert [line.split()[0] for line in figures.table()][1:] == ["resident,", "threads,"]


def test_what_fills_up_at_first_is_not_judged() -> None:
    points: list[tuple[float, float]] = [(x, min(x, 10)) for x in range(20)]
    assert not Figure("threads", "threads", 0.0, points=points[:12]).is_flat
    assert Figure("threads", "threads", 0.0, 10, points=points).is_flat


def test_what_shrinks_is_flat() -> None:
    assert Figure("memory", "KiB", 0.0, points=[(x, -x) for x in range(9)]).is_flat


def soaked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What grows in some elections in which no service is killed."""
    logger.remove()
    monkeypatch.setattr(virtual, "WARM_PART", 0.4)
    monkeypatch.setattr(virtual, "BLOCKS_LIMIT", LIMIT)
    monkeypatch.setattr(virtual, "RESIDENT_LIMIT", 1000.0)
    monkeypatch.setattr(virtual, "DEADLY", frozenset(Kind))
    figures = Figures()
    virtual.run(FEW, figures)
    return figures.growing()


def test_services_hold_on_to_nothing_of_elections_that_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert soaked(monkeypatch) == []


def test_a_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    step = Engine._step

    async def leaking(self: Engine) -> None:
        kept.extend(object() for _ in range(10))
        await step(self)

    monkeypatch.setattr(Engine, "_step", leaking)
    assert [line.split()[0] for line in soaked(monkeypatch)] == ["allocated"]
