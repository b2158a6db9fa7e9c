"""The votes of one election on their way: how many were cast, are in blocks, were rejected, and why."""

import asyncio
from collections.abc import Sequence

from node_fsm.node_answers import FragmentState
from node_fsm.sandbox.demo.drawing import Ballot, DrawnElection
from node_fsm.sandbox.demo.observer import Observer
from node_fsm.sandbox.demo.polling_station import PollingStation
from node_fsm.sandbox.demo.snapshot import VotesView

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

    async def settle(self, fragment_ids: Sequence[str], seconds: float) -> list[str]:
        """Wait until each vote is in a block or rejected; for each why it is in no block, empty when it is in one.

        The reason of those that are neither within *seconds* is that they are pending.
        """
        try:
            async with asyncio.timeout(seconds):
                while not all(map(self._is_settled, fragment_ids)):
                    await self._ask()
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            pass
        return [self._why_not(fragment_id) for fragment_id in fragment_ids]

    async def _ask(self) -> None:
        unsettled = [fragment_id for fragment_id in self._cast if not self._is_settled(fragment_id)]
        for fragment_id, status in (await self._station.outcomes(unsettled)).items():
            if status.state is FragmentState.IN_A_BLOCK:
                self._in_blocks.add(fragment_id)
            elif status.state is FragmentState.REJECTED:
                self._reasons[fragment_id] = status.reason or "no reason"
        self._show()

    def _is_settled(self, fragment_id: str) -> bool:
        return fragment_id in self._in_blocks or fragment_id in self._reasons

    def _why_not(self, fragment_id: str) -> str:
        return "" if fragment_id in self._in_blocks else self._reasons.get(fragment_id, "still pending")

    def _show(self) -> None:
        drawn = len(self._election.ballots) + 2  # and the second and the late one
        self._observer.votes = VotesView(
            self._election.name, drawn, len(self._cast), len(self._in_blocks), len(self._reasons)
        )
