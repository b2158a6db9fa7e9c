"""What elections that must end alike have in common: keys, times, voters, and every vote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml
from node_fsm_sandbox.election.committee import CommitteeMember, new_committee
from node_fsm_sandbox.election.draw import DrawnElection, draw_election, draw_voters
from node_fsm_sandbox.election.importing import write_election
from node_fsm_sandbox.election.part import Part, leader0
from node_fsm_sandbox.election.schedule import Times

from tests.contract.binaries import Binaries
from tests.support.template import TEMPLATE

NAME = "first"
OFFSET_MINUTES = -0.1
LEAD_SECONDS = 30
"""Until voting begins; a service that fails before it has begun is started several times within this."""

TALLYING_SECONDS = 180
MEMBERS = 1
QUESTIONS = 2


@dataclass(frozen=True, slots=True)
class Inputs:
    """One election with its files. *parts* are its nodes, leader 0 first; *settings* are for all of them."""

    binaries: Binaries
    template: Path
    file: Path
    voters: Path
    election: DrawnElection
    committee: Sequence[CommitteeMember]
    parts: Sequence[Part]
    settings: Mapping[str, str]

    @classmethod
    async def drawn(
        cls,
        binaries: Binaries,
        directory: Path,
        *,
        voters: int,
        private: int,
        voting_seconds: float,
        others: Sequence[Part],
        settings: Mapping[str, str],
    ) -> "Inputs":
        """An election of that many *voters* that is soon, with files in *directory*; *private* of two questions are."""
        committee = await new_committee(binaries.jcli, MEMBERS, directory / "committee") if private else ()
        times = Times.soon(LEAD_SECONDS, voting=voting_seconds, tallying=TALLYING_SECONDS)
        random = Random(1)
        election = draw_election(
            NAME, times, draw_voters(random, voters), random, committee, public=QUESTIONS - private
        )
        file, voters_file = write_election(election, directory / "election")
        template = directory / "template.yaml"
        template.write_text(yaml.safe_dump(TEMPLATE))
        parts = (leader0(), *others)
        return cls(binaries, template, file, voters_file, election, committee, parts, settings)
