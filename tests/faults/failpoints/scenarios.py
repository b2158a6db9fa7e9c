"""What happens in an election beside that services fail: people vote, and an operator makes mistakes."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_fsm_sandbox.election.draw import Ballot
from node_fsm_sandbox.election.part import Part, follower

from tests.contract.binaries import Binaries
from tests.faults.failpoints.inputs import Inputs
from tests.faults.failpoints.world import POLL_SECONDS, World

FOLLOWER = "follower"
IN_BLOCKS_AT_ONCE = 8
"""What a node passes on of a batch."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What its elections are like: *private* questions, of two; *happens* runs beside the services."""

    voters: int
    private: int
    voting_seconds: float
    others: Callable[[], tuple[Part, ...]]
    settings: Mapping[str, str]
    happens: Callable[[World], Coroutine[Any, Any, None]]

    async def inputs(self, binaries: Binaries, directory: Path) -> Inputs:
        """One election of this kind."""
        return await Inputs.drawn(
            binaries,
            directory,
            voters=self.voters,
            private=self.private,
            voting_seconds=self.voting_seconds,
            others=self.others(),
            settings=self.settings,
        )


async def _people_vote(world: World) -> None:
    await world.vote(world.inputs.election.ballots)


async def _much_happens(world: World) -> None:
    """Block 0 vanishes and is put back; the election is edited and begins anew; more is cast at once than is passed on.

    Leader 0 archives the chain that is given up only when the follower has set it aside. One vote comes into no block,
    and of one that is counted somebody said that it is not.
    """
    gate = world.hold("leader0", "phase.Archiving:before")
    election = world.inputs.election
    ballots = election.ballots
    await world.vote(ballots[:1])
    await world.sql("UPDATE election SET extras = extras - 'block0'")
    await world.until_sql("SELECT count(*) FROM phase_journal WHERE event = 'block0_restored'")
    given_up = await world.sql("SELECT block0_hash FROM election")
    await world.sql("UPDATE election SET tallying_end = tallying_end + interval '10 seconds'")
    await world.until_sql("SELECT count(*) FROM vote_plan WHERE withdrawn_at IS NOT NULL")
    aside = world.member(FOLLOWER).storage / "set-aside"
    while not list(aside.iterdir()):
        await asyncio.sleep(POLL_SECONDS)
    gate.unlink()
    await world.until_sql(f"SELECT count(*) FROM election WHERE block0_hash <> '{given_up}'")
    await world.vote_in_vain(Ballot(election.abstaining, election.questions[0], choice=0, lane=0))
    counted, *_ = await world.vote(ballots)
    await world.sql(
        "INSERT INTO uncounted_vote"
        " (block0_hash, fragment_id, node, election, election_name, account, weight, why, raw)"
        f" SELECT block0_hash, '{counted.id}', 'elsewhere', id, name, '', 1, 'expired', '\\x{counted.raw.hex()}'"
        " FROM election"
    )


QUIET = Scenario(voters=4, private=1, voting_seconds=240, others=tuple, settings={}, happens=_people_vote)
"""Leader 0 alone on its chain. It is started half a dozen times before there is a block 0, as are others beside it."""

EVENTFUL = Scenario(
    voters=IN_BLOCKS_AT_ONCE + 4,
    private=0,
    voting_seconds=150,
    others=lambda: (follower(FOLLOWER),),
    settings={"NODE_FSM_HOT_RELOAD": "true"},
    happens=_much_happens,
)
"""Leader 0 and a follower, at which people vote."""
