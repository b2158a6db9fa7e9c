"""One election of the demo: its votes, and in the midst of them SIGKILL to a service."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from node_fsm.core.phases import Phase, Role
from node_fsm_sandbox.demo.ballot_box import BallotBox
from node_fsm_sandbox.demo.display import Display
from node_fsm_sandbox.demo.moment import NodeView
from node_fsm_sandbox.demo.observer import Observer, in_phase, is_back
from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.election.committee import CommitteeMember
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.draw import Ballot, DrawnElection
from node_fsm_sandbox.election.polling_station import PollingStation

_BATCH = 6
_BETWEEN_BATCHES = 1.5
_SETTLE_SECONDS = 12.0
_LATE_SECONDS = 4.0

VOTED_ALREADY = "already voted"
OUT_OF_TIME = "time to vote is between"
TWICE = (VOTED_ALREADY, OUT_OF_TIME)
"""Why a voter's second vote is rejected; on a slow machine voting is over when it comes."""


@dataclass(frozen=True, slots=True)
class Act:
    """An election with what is needed to hold it; *victim* is the node whose service is killed.

    *settings* are those of every service and command, *temporary* is where commands keep theirs.
    """

    election: DrawnElection
    members: Sequence[Member]
    victim: Member
    observer: Observer
    display: Display
    settings: Mapping[str, str]
    temporary: Path

    async def play(self) -> list[str]:
        """From the chain's start until no node works on the election any more; what did not go as it must."""
        name, times = self.election.name, self.election.times
        self.display.tell(f"{name}: {len(self.election.voters)} voters; waiting for all nodes to run its chain")
        running = in_phase(Phase.RUNNING, name)
        await self.observer.until(running)
        station = self._station()
        await station.wait_for_tip(times.voting_start)
        box = BallotBox(self.election, station, self.observer)
        self.display.tell(f"{name}: voting has begun, votes go through {self._follower.hostname}")
        half = len(self.election.ballots) // 2
        problems = await self._vote(box, self.election.ballots[:half])
        problems += await self._kill()
        problems += await self._vote(box, self.election.ballots[half:])
        await self.observer.until(is_back(name, self.victim.service.restarts), [self.victim.hostname])
        problems += await self._rejected(box, self.election.again, "second vote of one voter", *TWICE)
        await station.wait_for_tip(times.voting_end)
        self.display.tell(f"{name}: voting has ended on the chain")
        problems += await self._rejected(box, self.election.late, "vote that came too late", OUT_OF_TIME)
        if self.election.committee:
            await self._open_private_votes()
        # Not until all are in Waiting: on a slow machine the first of them may be in the next election by then.
        await self.observer.until(lambda view: view.state is not None and view.state.election != name)
        self.display.tell(f"{name}: archived, and no node works on it any more")
        return [f"{name}: {problem}" for problem in problems]

    async def _vote(self, box: BallotBox, ballots: Sequence[Ballot]) -> list[str]:
        """Cast votes a few at a time and wait until all are in blocks."""
        fragment_ids = []
        for start in range(0, len(ballots), _BATCH):
            fragment_ids += await box.cast(ballots[start : start + _BATCH])
            await asyncio.sleep(_BETWEEN_BATCHES)
        reasons = await box.count(fragment_ids, _SETTLE_SECONDS)
        self.display.tell(f"{self.election.name}: {len(fragment_ids) - len(reasons)} more votes are in blocks")
        return [f"a vote that must count is in no block: {reason}" for reason in reasons]

    async def _open_private_votes(self) -> None:
        """Have the committee's members post their shares, the last of them late; nobody else has their keys."""
        *others, late = self.election.committee
        await self._until_awaited([member.index for member in self.election.committee])
        for said in await together(*map(self._post_share, others)):
            self.display.tell(said)
        await self._until_awaited([late.index])
        await asyncio.sleep(_LATE_SECONDS)
        self.display.tell(await self._post_share(late))

    async def _until_awaited(self, members: Sequence[int]) -> None:
        """Wait until leader 0 says that it waits for these members, and tell it."""
        (leader0,) = [member for member in self.members if member.part.role is Role.LEADER0]

        def waits(view: NodeView) -> bool:
            tally = view.state.private_tally if view.state else None
            return tally is not None and tally.awaited == list(members)

        await self.observer.until(waits, [leader0.hostname])
        names = " and ".join(f"member {member}" for member in members)
        self.display.tell(f"{self.election.name}: the private votes are opened once {names} of the committee posted")

    async def _post_share(self, member: CommitteeMember) -> str:
        said = await member.post_share(self.election.name, self.settings, self.temporary)
        return f"{self.election.name}: member {member.index}: {said.splitlines()[-1]}"

    async def _kill(self) -> list[str]:
        """Kill the victim's service and start it again, as a container would be."""
        state = await self.victim.service.state()
        self.display.tell(f"{self.victim.hostname}: SIGKILL to its service, which is started again")
        await self.victim.service.kill()
        await self.victim.service.start()
        if state is None or state.phase is not Phase.RUNNING:
            return [f"the service of {self.victim.hostname} was killed in {state and state.phase}, not while voting"]
        return []

    async def _rejected(self, box: BallotBox, ballot: Ballot, what: str, *expected: str) -> list[str]:
        """Cast a vote that must be rejected, for a reason that has one of *expected* in it."""
        (fragment_id,) = await box.cast([ballot])
        reason = await box.rejection(fragment_id, _SETTLE_SECONDS)
        if not any(text in reason for text in expected):
            return [f"the {what} was not rejected for it: {reason}"]
        self.display.tell(f"{self.election.name}: the {what} is rejected: {reason.rpartition(': ')[2]}")
        return []

    def _station(self) -> PollingStation:
        leaders = [member.node for member in self.members if member.part.wallet]
        return PollingStation(self._follower.node, leaders, Path(self.settings["NODE_FSM_JCLI_PATH"]))

    @property
    def _follower(self) -> Member:
        (follower,) = [member for member in self.members if not member.part.wallet]
        return follower
