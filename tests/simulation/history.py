"""One seed: its scenario lived through with its disturbances, and compared with how it ends without any."""

from functools import lru_cache
from typing import Any

from tests.simulation.cluster import Cluster, simulate
from tests.simulation.disturbance import SHORT, Disturbance, draw_disturbances
from tests.simulation.promises import BrokenPromiseError
from tests.simulation.scenario import Planned, Scenario

SCENARIOS = 60
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
    said what, on whose node ran; and which of several leaders 0 publishes, on who was first. Whether a tally comes onto
    the chain in time is compared when nothing keeps it from that for long.
    """
    found = []
    ends, others = disturbed.end(), other.end()
    for planned in disturbed.elections:
        said, said_there = disturbed.accepted[planned.id], other.accepted[planned.id]
        is_comparable = not (planned.edits or planned.written or disturbed.scenario.standby or planned.private)
        for_long = any(_lasts_through_the_tally(one, planned) for one in disturbed.disturbances)
        end, end_there = (_compared(each[planned.name], in_time=not for_long) for each in (ends, others))
        is_same_say = {one.say for one in said} == {one.say for one in said_there} and not disturbed.lost()
        says_twice = len({(one.say.plan, one.say.voter, one.say.proposal) for one in said}) != len(said)
        if is_comparable and is_same_say and not says_twice and end != end_there:
            found.append(f"{planned.name} ended as {end}, undisturbed as {end_there}")
    return found


def _compared(end: tuple[Any, ...], *, in_time: bool) -> tuple[Any, ...]:
    """How an election ended; without what was not to be had *in_time*: a tally on the chain, and agreement on it."""
    hash_, results, kinds, _ = end
    return end if in_time else (hash_, tuple(votes for votes, _ in results), kinds)


def _lasts_through_the_tally(one: Disturbance, planned: Planned) -> bool:
    return one.seconds > SHORT and one.at < planned.tallying_end and one.at + one.seconds > planned.voting_end
