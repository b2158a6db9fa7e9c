"""One election of the soak: votes through whichever node answers, kills at random moments, its end beside its draw."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random

import psutil
from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.draw import Ballot, DrawnElection
from node_fsm_sandbox.election.errors import SandboxError
from node_fsm_sandbox.election.polling_station import PollingStation
from node_fsm_sandbox.election.schedule import Times

from node_fsm.chain.certificates import decode_vote_cast
from node_fsm.chain.fragments import Fragment
from node_fsm.core.errors import ServiceError
from node_fsm.core.model import ArchiveKind
from node_fsm.core.phases import Phase
from node_fsm.database.election_show import describe_election
from node_fsm.database.session import Session
from node_fsm.database.votes import Votes
from tests.soak.processes import node_of

LEAD = 14
"""Seconds from the import to the first vote: the chain begins CHAIN_LEAD before that."""

CHAIN_LEAD = 12
"""As in the demo: the last of several nodes may have found the others after 10 s."""

VOTING = 20
TALLYING = 120
POLLED_PART = 0.3
"""Of the time to vote: who is killed meanwhile has the rest to come back and have votes in blocks."""

LONGEST_AWAY = 3.0
AGAIN_SECONDS = 0.5
HANGING = 300.0


class Victim(StrEnum):
    """What is killed."""

    SERVICE = "service"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Kill:
    """Of *victim* of the member of that index, *at* seconds after the import; *away* seconds until it is started again.

    A node is started again by its service.
    """

    at: float
    victim: Victim
    member: int
    away: float


def draw_kills(random: Random, victims: tuple[Victim, ...], members: int) -> tuple[Kill, ...]:
    """One or two, from the import on until some seconds after the end of voting, when all is archived usually."""
    return tuple(
        Kill(
            random.uniform(0, LEAD + VOTING + 8),
            random.choice(victims),
            random.randrange(members),
            random.uniform(0, LONGEST_AWAY),
        )
        for _ in range(random.choice((1, 2)))
    )


def times_now() -> Times:
    """Those of an election that is imported now."""
    return Times.of(datetime.now(UTC) + timedelta(seconds=LEAD), voting=VOTING, tallying=TALLYING)


class HeldElection:
    """An election that is imported, while it is held by *members*."""

    def __init__(self, drawn: DrawnElection, members: list[Member], session: Session, random: Random) -> None:
        self._drawn = drawn
        self._members = members
        self._session = session
        self._random = random
        self.killed: list[str] = []
        """What of whom was killed, in which phase."""

        self.lost = 0
        """How many votes are on record as lost."""

        self._uncertain: list[Ballot] = []
        """What no node said that it took."""

    async def hold(self, kills: tuple[Kill, ...]) -> list[str]:
        """To its end; what did not go as it must."""
        tasks = [asyncio.create_task(self._cast(after, batch)) for after, batch in self._batches()]
        tasks += [asyncio.create_task(self._kill(kill)) for kill in kills]
        try:
            async with asyncio.timeout(HANGING):
                await together(*map(_awaited, tasks))  # a kill may come after the archive
                await self._until_over()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [f"{self._drawn.name}: {problem}" for problem in await self._problems()]

    def _batches(self) -> list[tuple[float, tuple[Ballot, ...]]]:
        """Ballots with the seconds after the start of voting at which they are cast."""
        ballots, size = self._drawn.ballots, 4
        cut = [ballots[start : start + size] for start in range(0, len(ballots), size)]
        return [(self._random.uniform(0, POLLED_PART * VOTING), batch) for batch in cut]

    async def _cast(self, after: float, ballots: tuple[Ballot, ...]) -> None:
        """Send votes to one node after the other until one takes them."""
        times = self._drawn.times
        await asyncio.sleep(max(0.0, (times.voting_start - datetime.now(UTC)).total_seconds() + after))
        turn = self._random.randrange(len(self._members))
        while datetime.now(UTC) < times.voting_end:
            member = self._members[turn % len(self._members)]
            turn += 1
            station = PollingStation(member.node, [])
            with suppress(ServiceError, SandboxError, TimeoutError, KeyError):
                await station.wait_for_tip(times.voting_start, 3.0)
                await station.cast(ballots)
                return
            await asyncio.sleep(AGAIN_SECONDS)
        self._uncertain += ballots

    async def _kill(self, kill: Kill) -> None:
        await asyncio.sleep(kill.at)
        member = self._members[kill.member]
        state = await member.service.state()
        phase = state.phase if state else "no phase yet"
        if kill.victim is Victim.SERVICE:
            await member.service.kill()
            await asyncio.sleep(kill.away)
            await member.service.start()
        else:
            node = node_of(member)
            if node is None:
                return
            with suppress(psutil.NoSuchProcess):
                node.kill()
        self.killed.append(f"{kill.victim} of {member.hostname} in {phase}")

    async def _until_over(self) -> None:
        """Until the archive is recorded, and everybody is back in Waiting."""
        while True:
            with suppress(ServiceError):
                shown = await describe_election(self._session, self._drawn.name)
                states = [await member.service.state() for member in self._members]
                waiting = all(state and (state.phase, state.election) == (Phase.WAITING, None) for state in states)
                if waiting and any(archive["kind"] == ArchiveKind.FINAL for archive in shown["archives"]):
                    return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _problems(self) -> list[str]:
        """What the end is otherwise than was drawn, but for votes that are on record as lost."""
        shown = await describe_election(self._session, self._drawn.name)
        plans = shown["plans"]
        results: dict[str, list[int]] = {}
        for plan in plans:
            results |= plan["results"]
        external_ids = {
            (plan["chain_id"], place["index"]): place["external_id"] for plan in plans for place in plan["proposals"]
        }
        missing = await self._may_be_missing(plans[0]["block0_hash"], external_ids) if plans else Counter()
        problems = [] if plans and all(plan["on_chain"] for plan in plans) else ["the tally is not on the chain"]
        for external_id, expected in self._drawn.expected().items():
            counted = results.get(external_id) or [-1] * len(expected)
            fewest = [votes - missing[external_id, option] for option, votes in enumerate(expected)]
            if not all(low <= votes <= high for low, votes, high in zip(fewest, counted, expected, strict=True)):
                problems.append(f"{external_id} has {counted}, drawn were {expected}, told as lost all but {fewest}")
        return problems

    async def _may_be_missing(
        self, block0_hash: str, external_ids: Mapping[tuple[str, int], str]
    ) -> Counter[tuple[str, int]]:
        """The weight of the votes that nobody took or that are on record as lost, by external id and option."""
        says = {
            (ballot.question.external_id, ballot.choice, ballot.voter.wallet.public_key): ballot.voter.power
            for ballot in self._uncertain
        }
        for vote in await Votes(self._session).uncounted(block0_hash):
            cast = decode_vote_cast(Fragment.from_bytes(vote.raw))
            assert cast.choice is not None, "all votes are public"
            assert cast.account, "all voters have an account"
            says[external_ids[cast.plan_id, cast.proposal_index], cast.choice, cast.account] = vote.weight
            self.lost += 1
        missing = Counter[tuple[str, int]]()
        for (external_id, choice, _), weight in says.items():
            missing[external_id, choice] += weight
        return missing


async def _awaited(task: "asyncio.Task[None]") -> None:
    await task
