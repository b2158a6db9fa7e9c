"""Looking at all nodes twice a second, for the display and for whoever waits for a phase."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from node_fsm.core.errors import ServiceError
from node_fsm.core.phases import NODE_MUST_RUN, Phase
from node_fsm_sandbox.demo.display import Display
from node_fsm_sandbox.demo.moment import Moment, NodeView, VotesView, changes
from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.election.errors import SandboxError

POLL_SECONDS = 0.5
LONGEST_SECONDS = 240.0
"""No step of an election takes so long, even on a machine that is busy."""


class Observer:
    """What is known of the cluster; asks the services and nodes themselves, whose rows in the database lag behind."""

    def __init__(self, members: Sequence[Member], display: Display) -> None:
        self.votes: VotesView | None = None
        """Set by whoever casts votes."""
        self._members = members
        self._display = display
        self._views = [NodeView(member.hostname, 0, starting=True) for member in members]
        self._looked = asyncio.Condition()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._look()
            await asyncio.sleep(POLL_SECONDS)

    async def until(self, holds: Callable[[NodeView], bool], hostnames: Iterable[str] | None = None) -> None:
        """Wait until *holds* of all nodes, or of those named, at one look; SandboxError when it takes too long."""
        wanted = set(hostnames) if hostnames else {member.hostname for member in self._members}

        def hold() -> bool:
            return all(holds(view) for view in self._views if view.hostname in wanted)

        try:
            async with asyncio.timeout(LONGEST_SECONDS), self._looked:
                await self._looked.wait_for(hold)
        except TimeoutError:
            raise SandboxError(
                f"{', '.join(sorted(wanted))} did not go on within {LONGEST_SECONDS:g} s; this machine may be too busy"
                " for elections that take two minutes"
            ) from None

    async def _look(self) -> None:
        views = list(await asyncio.gather(*map(_view, self._members)))
        for before, after in zip(self._views, views, strict=True):
            for line in changes(before, after):
                self._display.tell(line)
        async with self._looked:
            self._views = views
            self._looked.notify_all()
        self._display.show(Moment(datetime.now(UTC), tuple(views), self.votes))


def in_phase(phase: Phase, election: str | None = None) -> Callable[[NodeView], bool]:
    """Whether a node is in *phase*, working on *election*."""
    return lambda view: view.state is not None and (view.state.phase, view.state.election) == (phase, election)


def is_back(election: str, restarts: int) -> Callable[[NodeView], bool]:
    """Whether a node that was started again works on the chain; on a slow machine voting may be over by then."""

    def holds(view: NodeView) -> bool:
        if view.state is None or view.restarts != restarts:
            return False
        return view.state.election == election and view.state.phase is not Phase.FETCHING_KEY

    return holds


async def _view(member: Member) -> NodeView:
    # Before the question, so that no answer of an earlier life is taken for a later one's.
    restarts = member.service.restarts
    state = await member.service.state()
    height = peers = None
    if state and state.phase in NODE_MUST_RUN:
        try:
            stats = await member.node.stats()
            height, peers = stats.height, stats.peers_connected
        except ServiceError:
            pass  # it starts, or it has just been killed
    starting = state is None and not member.service.has_answered
    return NodeView(member.hostname, restarts, state, height, peers, starting)
