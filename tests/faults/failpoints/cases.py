"""Which service fails where in which election: each failpoint by each action."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node_fsm_sandbox.failpoints.armed import Action
from node_fsm_sandbox.failpoints.names import effects, moments, place

from node_fsm.core.phases import Phase
from tests.faults.failpoints.scenarios import EVENTFUL, FOLLOWER, QUIET, Scenario

ACTIONS = (Action.KILL, Action.TERM, Action.ERROR, Action.HANG)
LEADER0 = "leader0"

EVENTFUL_ACTIONS = (Action.ERROR,)
"""By which services fail in eventful elections, where all other actions are slow."""

PLACES_OF_AN_ELECTION = 10
"""A service is started as often in a quiet one, for which there is time."""

ELECTIONS_OF_A_FLIGHT = 3

NOT_BOTH: Final = {
    "phase.GeneratingBlock0:done": {"database.publish_block0:recorded"},
    "phase.Tallying:done": {"database.post_results:recorded"},
    "phase.Archiving:done": {"database.save_archive:recorded"},
    "phase.Reset:done": {"workspace.remove:done"},
}
"""The places that a service which is started again after others, when all is done, does not come to any more."""

OF_LEADER0: Final = frozenset({
    "database.forget_uncounted", "database.report_uncounted", "database.restore_block0", "database.withdraw_block0",
    "node.post_fragments",
})  # fmt: skip
"""What leader 0 does only when something happens."""

OF_BOTH: Final = frozenset({
    "database.announce", "database.journal", "database.report_status", "database.resolve_handover",
    "node.require", "node.stop", "workspace.remove",
    "phase.Waiting", "phase.FetchingKey", "phase.Running", "phase.Reset",
})  # fmt: skip
"""What leader 0 and a follower do in any election."""

OF_THE_FOLLOWER: Final = frozenset({
    "database.download_block0", "database.hand_over", "database.report_uncounted", "workspace.remove_set_aside",
    "workspace.set_aside",
})  # fmt: skip
"""What a follower does only when something happens, or leader 0 does otherwise."""

NOWHERE: Final = {
    "database.add_uncounted": "takes a chain that was split when it ended: tests/netns, the simulation",
    "database.save_chain_copy": "takes a machine that lost its disk: tests/system, the simulation",
    "node.restart": "takes a node that keeps votes to itself: tests/netns, the simulation",
}
"""The effects that no election here has, why, and where they are tested."""

IN_THE_QUIET: Final = frozenset(effects()) - OF_LEADER0 - OF_THE_FOLLOWER - frozenset(NOWHERE)
"""What leader 0 does alone on its chain."""

TALLY_ALONE: Final = frozenset({"jcli.merge_shares", "jcli.decrypt_results"})
"""What is done in Waiting too, to know how long it takes, and counts in Tallying."""


@dataclass(frozen=True, slots=True)
class Case:
    """The service of *hostname* fails at *place*: in the *election*, from 1 on, of a *flight* of that *scenario*."""

    place: str
    action: Action
    hostname: str
    scenario: Scenario
    flight: str
    election: int

    def __str__(self) -> str:
        return f"{self.place}-{self.action}-{self.hostname}"


def cases() -> Iterator[Case]:
    """All of them, those of a flight one after the other."""
    places = _places(IN_THE_QUIET)
    for action in ACTIONS:
        for number, part in enumerate(_spread(places, action)):
            flight, election = divmod(number, ELECTIONS_OF_A_FLIGHT)
            for where in part:
                yield Case(where, action, LEADER0, QUIET, f"quiet-{action}-{flight + 1}", election + 1)
    for action in EVENTFUL_ACTIONS:
        for hostname, done_there in ((LEADER0, OF_LEADER0), (FOLLOWER, OF_BOTH | OF_THE_FOLLOWER)):
            for where in _places(done_there):
                yield Case(where, action, hostname, EVENTFUL, f"eventful-{action}", 1)


def _spread(places: Sequence[str], action: Action) -> list[list[str]]:
    """Places by election, so that in each some come early and some late; an error needs no start of its own."""
    if action is Action.ERROR:
        return [list(places)]
    elections: list[list[str]] = [[] for _ in range(-(-len(places) // PLACES_OF_AN_ELECTION))]
    for where in places:
        possible = [election for election in elections if not NOT_BOTH.get(where, set()) & set(election)]
        min(possible, key=len).append(where)
    return elections


def _places(of: frozenset[str]) -> list[str]:
    """The failpoints of these effects, each place once, in the order of their names."""
    found = dict.fromkeys(place(effect, moment) for effect in effects() if effect in of for moment in moments(effect))
    return [_where_it_counts(name) for name in found if name.partition(":")[0] in of]


def _where_it_counts(name: str) -> str:
    return f"{name}@{Phase.TALLYING}" if name.partition(":")[0] in TALLY_ALONE else name
