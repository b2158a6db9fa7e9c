"""The tables of transitions: everything that affects phases, and nothing else.

Rules:

1. A row reads "in this phase, this event leads to that phase, when ...". What is not in a table cannot happen.
2. In one table a pair (phase, event) stands once, so an event has one meaning in a phase.
3. Every phase named can be reached from Waiting, and Waiting can be reached from it: no dead ends.
4. The conditions of the last column are decided elsewhere, from what is published; the machine has none.

The rules are checked when this module is imported.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from node_fsm.core.events import Event
from node_fsm.core.phases import Phase, Role


class Transition(NamedTuple):
    """One row of a table."""

    source: Phase
    event: Event
    target: Phase
    when: str


# fmt: off
LEADER0: tuple[Transition, ...] = (
    Transition(Phase.WAITING, Event.ELECTION_DUE, Phase.FETCHING_KEY,
               "the chain's start has come, or block 0 of the current election is already published, or was and the"
               " database has forgotten it"),
    Transition(Phase.WAITING, Event.RESULTS_POSTED, Phase.ARCHIVING,
               "results stand without a verified archive, and this chain's storage is here"),
    Transition(Phase.WAITING, Event.LEFTOVERS_FOUND, Phase.RESET,
               "there is local data of an election that is finished, replaced or gone"),

    Transition(Phase.FETCHING_KEY, Event.KEY_FETCHED, Phase.BUILDING_VOTE_PLAN,
               "the key is this node's, and no block 0 is published"),
    Transition(Phase.FETCHING_KEY, Event.BLOCK0_FOUND, Phase.RUNNING,
               "the key is this node's, and block 0 is published, or was put back"),
    Transition(Phase.FETCHING_KEY, Event.ELECTION_CHANGED, Phase.WAITING,
               "the election is no longer current or was edited, and its block 0 is not published"),

    Transition(Phase.BUILDING_VOTE_PLAN, Event.VOTE_PLAN_BUILT, Phase.GENERATING_BLOCK0,
               "every plan has a signed certificate"),
    Transition(Phase.BUILDING_VOTE_PLAN, Event.BLOCK0_FOUND, Phase.RUNNING,
               "an earlier life published block 0: it is adopted"),
    Transition(Phase.BUILDING_VOTE_PLAN, Event.ELECTION_CHANGED, Phase.WAITING,
               "the election is no longer current or was edited, and its block 0 is not published"),

    Transition(Phase.GENERATING_BLOCK0, Event.BLOCK0_PUBLISHED, Phase.RUNNING,
               "block 0 was checked and stands in the database with its plans"),
    Transition(Phase.GENERATING_BLOCK0, Event.BLOCK0_FOUND, Phase.RUNNING,
               "an earlier life published block 0: it is adopted"),
    Transition(Phase.GENERATING_BLOCK0, Event.ELECTION_CHANGED, Phase.WAITING,
               "the election is no longer current or was edited, and its block 0 is not published"),

    Transition(Phase.RUNNING, Event.VOTING_ENDED, Phase.TALLYING,
               "the chain's tip is dated at or past the end of voting; or its node never came up and the next election"
               " waits"),
    Transition(Phase.RUNNING, Event.ELECTION_CHANGED, Phase.ARCHIVING,
               "block 0 was withdrawn: the election was cancelled, or edited in hot-reload mode; or another leader 0"
               " has archived the election"),

    Transition(Phase.TALLYING, Event.RESULTS_POSTED, Phase.ARCHIVING,
               "the results stand in the database; disputed ones, when the others cannot come back in time any more"),
    Transition(Phase.TALLYING, Event.TALLY_WINDOW_CLOSED, Phase.ARCHIVING,
               "the time to tally and its grace have passed, and no result can be had"),
    Transition(Phase.TALLYING, Event.ELECTION_CHANGED, Phase.ARCHIVING,
               "the election was cancelled before its results stood; block 0 is withdrawn"),

    Transition(Phase.ARCHIVING, Event.ARCHIVED, Phase.RESET,
               "the archive was read back and verified, or the chain was set aside, to be archived later"),

    Transition(Phase.RESET, Event.LOCAL_DATA_RESET, Phase.WAITING,
               "nothing of the finished chain is left in the working directory"),
)

NODE: tuple[Transition, ...] = (
    Transition(Phase.WAITING, Event.BLOCK0_POSTED, Phase.FETCHING_KEY,
               "block 0 of the current election is in the database"),
    Transition(Phase.WAITING, Event.LEFTOVERS_FOUND, Phase.RESET,
               "there is local data of an election that is finished, replaced or gone"),

    Transition(Phase.FETCHING_KEY, Event.KEY_FETCHED, Phase.RUNNING,
               "this node is a leader, and the key is its own"),
    Transition(Phase.FETCHING_KEY, Event.KEY_NOT_NEEDED, Phase.RUNNING,
               "this node is a follower"),
    Transition(Phase.FETCHING_KEY, Event.ELECTION_CHANGED, Phase.WAITING,
               "the posted block 0 is no longer the current one"),

    Transition(Phase.RUNNING, Event.ELECTION_CHANGED, Phase.RESET,
               "the posted block 0 was replaced or withdrawn"),
    Transition(Phase.RUNNING, Event.ELECTION_CLOSED, Phase.RESET,
               "the final archive of this chain is verified, or the time to tally and its grace have passed"),

    Transition(Phase.RESET, Event.LOCAL_DATA_RESET, Phase.WAITING,
               "nothing of the finished chain is left in the working directory"),
)
# fmt: on

TABLES: dict[Role, tuple[Transition, ...]] = {Role.LEADER0: LEADER0, Role.NODE: NODE}


def phases_of(table: Iterable[Transition]) -> list[Phase]:
    """The phases that *table* names, in the order of a life."""
    named = {phase for row in table for phase in (row.source, row.target)}
    return [phase for phase in Phase if phase in named]


def check(table: Sequence[Transition]) -> None:
    """Raise ValueError naming the first rule of this module that *table* breaks."""
    pairs = [(row.source, row.event) for row in table]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise ValueError(f"two transitions for {pair[0]} on {pair[1]}")
    ahead = {phase: {row.target for row in table if row.source is phase} for phase in phases_of(table)}
    back = {phase: {row.source for row in table if row.target is phase} for phase in phases_of(table)}
    for edges, complaint in ((ahead, "cannot be reached from"), (back, "cannot reach")):
        for phase in phases_of(table):
            if phase not in _closure(edges, Phase.WAITING):
                raise ValueError(f"{phase} {complaint} {Phase.WAITING}")


def _closure(edges: dict[Phase, set[Phase]], start: Phase) -> set[Phase]:
    seen, todo = {start}, [start]
    while todo:
        new = edges.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen


for _table in TABLES.values():
    check(_table)
