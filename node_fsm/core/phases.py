"""The eight phases of a node's life, spelled as every metric, log line and table row spells them.

This file holds names and sets of names, no behaviour. What each phase does stands in ``states/``;
how one follows another stands in :mod:`node_fsm.core.table`.
"""

from enum import StrEnum
from typing import Self


class Described(StrEnum):
    """A name with a sentence for people: ``NAME = "spelling", "description"``; looked up by its spelling alone."""

    description: str

    def __new__(cls, spelling: str, description: str = "") -> Self:
        member = str.__new__(cls, spelling)
        member._value_ = spelling
        member.description = description
        return member


class Phase(Described):
    """Where a node stands in the election it works on."""

    WAITING = (
        "Waiting",
        "No election is due. Leader 0 waits for the next one's time, other nodes for its block 0.",
    )
    FETCHING_KEY = (
        "FetchingKey",
        "The signing key is read from S3 and its public half compared with `jorm_nodes.leader_id`.",
    )
    BUILDING_VOTE_PLAN = (
        "BuildingVotePlan",
        "Proposals become vote plans and their signed certificates.",
    )
    GENERATING_BLOCK0 = (
        "GeneratingBlock0",
        "Block 0 is encoded by jcli, checked and published.",
    )
    RUNNING = (
        "Running",
        "The node runs on the published block 0 and people vote.",
    )
    TALLYING = (
        "Tallying",
        "Voting has ended on the chain; the node still runs, the votes are counted and results posted.",
    )
    ARCHIVING = (
        "Archiving",
        "The node has stopped; its chain and records go to S3 and are read back.",
    )
    RESET = (
        "Reset",
        "Local data that an archive covers is deleted, other data is set aside.",
    )


class Role(Described):
    """Which table of transitions a node follows."""

    LEADER0 = "leader0", "Creates the chain, tallies it and archives it."
    NODE = "node", "Joins the chain that leader 0 published, as leader or follower."


NODE_MUST_RUN = frozenset({Phase.RUNNING, Phase.TALLYING})
"""Phases in which the supervisor keeps the node up. Tallying is one of them: a tally needs blocks."""

BEFORE_PUBLICATION = frozenset({Phase.FETCHING_KEY, Phase.BUILDING_VOTE_PLAN, Phase.GENERATING_BLOCK0})
"""Phases in which a changed election starts over, as long as its block 0 is not published."""
