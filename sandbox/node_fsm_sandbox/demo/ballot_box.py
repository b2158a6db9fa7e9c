"""The votes of one election on their way: how many were cast, are in blocks, were rejected, and why."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from node_fsm.ports.answers import FragmentState
from node_fsm_sandbox.demo.moment import VotesView
from node_fsm_sandbox.demo.observer import Observer
from node_fsm_sandbox.election.draw import Ballot, DrawnElection
from node_fsm_sandbox.election.polling_station import PollingStation

_POLL_SECONDS = 0.4


class BallotBox:
    """Casts an election's votes and keeps the view of them up to date."""

    def __init__(self, election: DrawnElection, station: PollingStation, observer: Observer) -> None:
        self._election = election
        self._station = station
        self._observer = observer
        self._cast: list[str] = []
        self._in_blocks: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._show()

    async def cast(self, ballots: Sequence[Ballot]) -> list[str]:
        """Cast votes; their fragment ids."""
        fragment_ids = await self._station.cast(ballots)
        self._cast += fragment_ids
        self._show()
        return fragment_ids

    async def count(self, fragment_ids: Sequence[str], seconds: float) -> list[str]:
        """Wait until all these votes are in blocks, at most *seconds*; why the others are not, a reason for each.

        A rejection is not believed at once: a leader also rejects what another has just put into a block.
        """
        await self._ask_until(lambda: self._in_blocks.issuperset(fragment_ids), seconds)
        return [self._why_not(fragment_id) for fragment_id in fragment_ids if fragment_id not in self._in_blocks]

    async def rejection(self, fragment_id: str, seconds: float) -> str:
        """Wait until a vote is rejected and return the reason; after *seconds*, or when it is in a block, that."""
        await self._ask_until(lambda: fragment_id in self._in_blocks or fragment_id in self._reasons, seconds)
        return self._why_not(fragment_id)

    async def _ask_until(self, enough: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not enough():
                    await self._ask()
                    await asyncio.sleep(_POLL_SECONDS)

    async def _ask(self) -> None:
        undecided = [fragment_id for fragment_id in self._cast if fragment_id not in self._in_blocks]
        for fragment_id, status in (await self._station.outcomes(undecided)).items():
            if status.state is FragmentState.IN_A_BLOCK:
                self._in_blocks.add(fragment_id)
                self._reasons.pop(fragment_id, None)
            elif status.state is FragmentState.REJECTED:
                self._reasons[fragment_id] = status.reason or "no reason"
        self._show()

    def _why_not(self, fragment_id: str) -> str:
        if fragment_id in self._in_blocks:
            return "it is in a block"
        return self._reasons.get(fragment_id, "it is still pending")

    def _show(self) -> None:
        drawn = len(self._election.ballots) + 2  # and the second and the late one
        self._observer.votes = VotesView(
            self._election.name, drawn, len(self._cast), len(self._in_blocks), len(self._reasons)
        )
