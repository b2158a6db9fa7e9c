"""One seed: its scenario lived through with its disturbances, and compared with how it ends without any."""

from functools import lru_cache

from tests.simulation.cluster import Cluster, simulate
from tests.simulation.disturbance import draw_disturbances
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.scenario import Scenario

SCENARIOS = 25
"""So many are drawn; their disturbances are as many as there are seeds."""


def run(seed: int) -> Cluster:
    """Live through *seed*; raises BrokenPromiseError, with how to see it again."""
    scenario = Scenario.draw(seed % SCENARIOS)
    disturbances = draw_disturbances(seed, scenario)
    try:
        cluster = simulate(scenario, disturbances, seed)
        if found := differences(cluster, undisturbed(scenario.seed)):
            raise BrokenPromiseError("; ".join(found))
    except Exception as error:
        story = "\n".join(map(str, disturbances))
        raise BrokenPromiseError(
            f"seed {seed} (python -m tests.simulation --seed {seed} --log): {error!r}\n{scenario}\n{story}"
        ) from error
    return cluster


@lru_cache(SCENARIOS)
def undisturbed(scenario: int) -> Cluster:
    """The cluster of a scenario that nothing disturbed."""
    return simulate(Scenario.draw(scenario), (), scenario)


def differences(disturbed: Cluster, other: Cluster) -> list[str]:
    """What an observer finds otherwise at the end of two runs of a scenario.

    Of elections that an operator edited or wrote late it depends on the moment which specification is published; who
    said what, on whose node ran; and which of several leaders 0 publishes, on who was first.
    """
    found = []
    ends, others = disturbed.end(), other.end()
    for planned in disturbed.elections:
        said, said_there = disturbed.accepted[planned.id], other.accepted[planned.id]
        is_comparable = not (planned.edits or planned.written or disturbed.scenario.standby or planned.private)
        is_same_say = {one.say for one in said} == {one.say for one in said_there} and not disturbed.lost()
        says_twice = len({(one.say.plan, one.say.voter, one.say.proposal) for one in said}) != len(said)
        if is_comparable and is_same_say and not says_twice and ends[planned.name] != others[planned.name]:
            found.append(f"{planned.name} ended as {ends[planned.name]}, undisturbed as {others[planned.name]}")
    return found
