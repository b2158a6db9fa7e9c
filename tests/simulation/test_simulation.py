"""Elections that are disturbed in every way end as undisturbed ones do; see also ``python -m tests.simulation``."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from tests.simulation.cluster import Cluster, simulate
from tests.simulation.disturbance import Disturbance, Kind, draw_disturbances
from tests.simulation.history import differences, run
from tests.simulation.network import DATABASE
from tests.simulation.scenario import Edit, EditKind, Planned, Say, Scenario
from tests.support.fakes import START

SEEDS_AT_ONCE = 30


@pytest.mark.parametrize("first", range(0, 4 * SEEDS_AT_ONCE, SEEDS_AT_ONCE))
def test_disturbed_elections_end_as_others_do(first: int) -> None:
    for seed in range(first, first + SEEDS_AT_ONCE):
        run(seed)


def test_a_seed_gives_one_history() -> None:
    scenario = Scenario.draw(3)
    disturbances = draw_disturbances(3, scenario)
    first, second = (simulate(scenario, disturbances, 3) for _ in range(2))
    assert first.database.journalled == second.database.journalled
    assert first.faults.injected == second.faults.injected
    assert first.end() == second.end()


def test_kinds_of_disturbances_are_all_drawn() -> None:
    drawn = {one.kind for seed in range(100) for one in draw_disturbances(seed, Scenario.draw(seed))}
    assert drawn == set(Kind)


ELECTION = Planned(id=1, at=180, written=0, groups=1, private=0, edits=(), says=(Say(220, "leader0", 0, 0, 0, 1),))
ALONE = Scenario(0, leaders=(), followers=(), standby=(), hot_reload=False, elections=(ELECTION,))


def live(scenario: Scenario, *disturbances: Disturbance) -> Cluster:
    return simulate(scenario, disturbances, 0)


def test_an_undisturbed_election() -> None:
    cluster = live(ALONE)
    ((hash_, results, kinds, disputed),) = cluster.end().values()
    assert cluster.database.published.keys() == {hash_}
    assert results == ((((0, 1, 0), (0, 0)), True),)
    assert kinds == ("final",)
    assert not disputed
    assert {host.lives for host in cluster.hosts.values()} == {1}


def test_a_killed_service_does_nothing_more_and_its_node_ends() -> None:
    cluster = live(ALONE, Disturbance(250, 30, Kind.SERVICE_KILLED, "leader0", "", 0))
    assert cluster.hosts["leader0"].lives == 2
    assert differences(cluster, live(ALONE)) == []


def test_a_frozen_service_goes_on_where_it_was() -> None:
    cluster = live(ALONE, Disturbance(170, 60, Kind.SERVICE_FROZEN, "leader0", "", 0))
    assert cluster.hosts["leader0"].lives == 1
    assert differences(cluster, live(ALONE)) == []


def test_a_clock_that_is_set_hours_ahead_keeps_no_tally_off_the_chain() -> None:
    cluster = live(ALONE, Disturbance(ELECTION.voting_end + 2, 40, Kind.CLOCK_SET, "leader0", "", 1.0))
    assert differences(cluster, live(ALONE)) == []


def test_other_results_are_a_difference() -> None:
    cluster = live(ALONE)
    (hash_,) = cluster.database.posted
    cluster.database.posted[hash_] = ()
    assert differences(cluster, live(ALONE))


def test_a_cancelled_election_leaves_no_results() -> None:
    cancelled = replace(ELECTION, edits=(Edit(250, EditKind.CANCELLED),))
    cluster = live(replace(ALONE, elections=(cancelled,)))
    assert cluster.database.posted == {}
    assert [archive.kind for archive in cluster.database.archives] == ["superseded"]


def test_an_election_whose_tally_waits_for_ever_can_be_cancelled() -> None:
    """Its node never comes up again, and is not asked to: no results, and what was voted is archived."""
    edits = (Edit(ELECTION.voting_end + 60, EditKind.CANCELLED),)
    cancelled = replace(ELECTION, edits=edits)
    broken = Disturbance(ELECTION.voting_end + 1, 4000, Kind.NODE_BROKEN, "leader0", "", 0)
    cluster = live(replace(ALONE, elections=(cancelled,)), broken)
    assert cluster.database.posted == {}
    assert [archive.kind for archive in cluster.database.archives] == ["superseded"]
    (end,) = [entry.at for entry in cluster.database.journalled if entry.event == "archived"]
    assert end < START + timedelta(seconds=ELECTION.voting_end + 120)


def test_a_disputed_count_is_of_the_chain_that_is_archived() -> None:
    """Five leaders in three parts; leader 0's turns to another one after it has counted, and is no majority."""
    says = (Say(300, "leader0", 0, 0, 0, 1), Say(305, "leader1", 0, 1, 0, 0), Say(310, "leader3", 0, 1, 1, 0))
    election = Planned(id=5, at=180, written=0, groups=1, private=0, edits=(), says=says)
    others = ("leader1", "leader2", "leader3", "leader4")
    split = [Disturbance(280, 330, Kind.CUT, "leader0", "leader1", 0)]
    split += [Disturbance(280, 700, Kind.CUT, host, DATABASE, 0) for host in others]
    parted = product(("leader0", "leader1"), others[1:])
    split += [Disturbance(280, 700, Kind.CUT, host, other, 0) for host, other in parted]
    cluster = live(Scenario(0, others, (), (), hot_reload=False, elections=(election,)), *split)
    ((_, results, kinds, disputed),) = cluster.end().values()
    assert results[0][0] == ((10, 0, 0), (0, 0)), "that of leader 1"
    assert kinds == ("final",)
    assert disputed
