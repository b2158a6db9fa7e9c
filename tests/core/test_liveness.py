"""From wherever a node can come to, it gets back to Waiting with nothing left to do, once nothing disturbs it."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial

import pytest

from node_fsm.core.events import Event
from node_fsm.core.phases import BEFORE_PUBLICATION, NODE_MUST_RUN, Phase, Role
from node_fsm.core.table import TABLES
from node_fsm.core.view import LocalChain
from tests.core import worlds
from tests.core.simulated_world import Election, World, successor, successors

ONE = (Election(1),)
OVERLAPPING = (Election(1), Election(2, later=worlds.HOUR))
LONGEST_LIFE = 40
"""Steps in which two elections, each worked on twice, are through."""


@cache
def reachable(start: World) -> tuple[set[World], set[tuple[Phase, Event]]]:
    """Every world that can come of *start*, and the transitions made on the way."""
    seen, todo, fired = {start}, [start], set()
    while todo:
        world = todo.pop()
        for event, after in successors(world):
            if event:
                fired.add((world.phase, event))
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return seen, fired


def is_at_rest(world: World) -> bool:
    """Waiting, with no local data, and every election closed, cancelled or missed."""

    def is_over(election: Election) -> bool:
        if election.block0 is None:
            return election.cancelled or world.now >= worlds.VOTING_END + election.later
        closed_by_clock = world.role is Role.NODE and world.now >= worlds.CLOSE + election.later
        return election.block0.hash in world.closed or closed_by_clock

    return world.phase is Phase.WAITING and not world.local and all(map(is_over, world.elections))


def assert_comes_to_rest(start: World, known: set[World]) -> None:
    """Follow the undisturbed steps; *known* holds worlds that were followed before."""
    path, world = [start], start
    while world not in known and (after := successor(world)):
        path.append(after)
        world = after
        assert len(path) <= LONGEST_LIFE, [(step.phase, step.now.isoformat()) for step in path]
    assert world in known or is_at_rest(world), world
    known.update(path)


@pytest.mark.parametrize(
    ("role", "elections", "faults"),
    [(Role.LEADER0, ONE, 3), (Role.LEADER0, OVERLAPPING, 1), (Role.NODE, ONE, 3), (Role.NODE, OVERLAPPING, 1)],
    ids=["leader0-one-election", "leader0-two-elections", "node-one-election", "node-two-elections"],
)
def test_every_reachable_world_comes_to_rest(role: Role, elections: tuple[Election, ...], faults: int) -> None:
    seen, fired = reachable(World(role, elections, faults))
    known: set[World] = set()
    for world in seen:
        assert_comes_to_rest(world, known)
    assert fired == {(row.source, row.event) for row in TABLES[role]}


@pytest.mark.parametrize("role", Role)
def test_work_fits_the_phase_in_every_reachable_world(role: Role) -> None:
    seen, _ = reachable(World(role, ONE, faults=2))
    for world in seen:
        if world.phase is Phase.WAITING:
            assert world.work is None
        elif world.phase in BEFORE_PUBLICATION:
            assert world.work, world
        elif world.phase is not Phase.RESET:
            assert world.work, world
            assert world.work.block0, world


def test_leader0_never_takes_up_a_closed_election_again() -> None:
    seen, _ = reachable(World(Role.LEADER0, ONE, faults=3))
    for world in seen:
        if world.work and world.work.block0 and world.phase in BEFORE_PUBLICATION | NODE_MUST_RUN:
            assert world.work.block0.hash not in world.closed, world


def followed(start: World, until: Callable[[World], bool]) -> list[World]:
    """The undisturbed steps from *start* to the first world where *until* holds."""
    path = [start]
    while not until(path[-1]):
        after = successor(path[-1])
        assert after, path
        path.append(after)
        assert len(path) <= LONGEST_LIFE, path
    return path


def _is_back(chain: LocalChain, step: World) -> bool:
    return chain not in step.vanished


@pytest.mark.parametrize(
    ("role", "phases"),
    [(Role.LEADER0, {Phase.WAITING, Phase.FETCHING_KEY, Phase.RESET}), (Role.NODE, {Phase.WAITING, Phase.RESET})],
)
def test_a_chain_whose_block0_vanished_stays_and_is_run_again_once_that_is_back(role: Role, phases: set[Phase]) -> None:
    """Leader 0 puts it back; another node, or one that did not come to keep what it published, awaits that."""
    seen, _ = reachable(World(role, ONE, faults=3))
    outside = {Phase.WAITING, Phase.RESET} | BEFORE_PUBLICATION
    cases = [(world, chain) for world in seen if world.phase in outside for chain in world.vanished]
    for world, chain in cases:
        unmended = followed(world, partial(_is_back, chain))
        assert all(chain in step.local for step in unmended), unmended
        mended = followed(world.mended(chain), lambda step: step.phase in {Phase.RUNNING, Phase.ARCHIVING})
        assert all(chain in step.local for step in mended), mended
        assert mended[-1].chain.hash == chain.block0_hash
    assert phases <= {world.phase for world, _ in cases}


def test_an_undisturbed_life_of_leader0_goes_once_through_each_phase() -> None:
    world: World | None = World(Role.LEADER0, ONE, faults=0)
    phases: list[Phase] = []
    while world:
        if phases[-1:] != [world.phase]:
            phases.append(world.phase)
        world = successor(world)
    assert phases == [*Phase, Phase.WAITING]


def test_overlapping_elections_follow_each_other() -> None:
    """The second is due while the first still runs: it starts late, once the first is archived."""
    world: World | None = World(Role.LEADER0, OVERLAPPING, faults=0)
    started: dict[int, tuple[datetime, frozenset[str]]] = {}
    while world:
        if world.phase is Phase.RUNNING and world.work:
            started.setdefault(world.work.election_id, (world.now, frozenset(world.closed)))
        world = successor(world)
    assert started == {1: (worlds.DUE, frozenset()), 2: (worlds.VOTING_END, {"1A"})}
