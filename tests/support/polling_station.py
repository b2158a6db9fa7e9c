"""Voters' hands: votes cast over the node's REST interface, and what becomes of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from node_fsm.core.errors import TemporaryError
from node_fsm.node.rest import NodeRest
from node_fsm.ports.answers import FragmentState, FragmentStatus
from tests.support.election import Ballot
from tests.support.wallet import public_vote

POLL_SECONDS = 0.1


@dataclass
class PollingStation:
    """Casts votes on one chain through the node at *rest_url*."""

    jcli: Path
    rest_url: str
    directory: Path

    def wait_for_time(self, time: datetime, seconds: float) -> None:
        """Wait until the chain's tip is dated *time* or later, through starts and restarts of the node."""

        async def wait() -> None:
            async with asyncio.timeout(seconds), NodeRest(self.rest_url) as node:
                while True:
                    try:
                        clock = (await node.settings()).clock
                        if clock.time_at((await node.stats()).tip_date) >= time:
                            return
                    except TemporaryError:
                        pass  # it starts, or was killed
                    await asyncio.sleep(POLL_SECONDS)

        asyncio.run(wait())

    def cast(self, ballots: Sequence[Ballot], plan_id: str) -> list[str]:
        """Post votes; their fragment ids. Posted is not counted: see outcomes()."""

        async def post() -> list[str]:
            async with NodeRest(self.rest_url) as node:
                settings = await node.settings()
                now = settings.clock.date_at(datetime.now(UTC))  # the tip may be old: the chain may just go on again
                fragments = [
                    await public_vote(
                        self.jcli,
                        ballot.voter.wallet,
                        plan_id=plan_id,
                        proposal=ballot.proposal,
                        choice=ballot.choice,
                        block0_hash=settings.block0_hash,
                        expiry=settings.clock.expiry(now),
                        directory=self.directory,
                        counter=ballot.counter,
                    )
                    for ballot in ballots
                ]
                posted = await node.post_fragments([fragment.raw for fragment in fragments])
                refused = [fragment for fragment in posted if not fragment.accepted]
                assert not refused, refused
                return [fragment.id for fragment in fragments]

        return asyncio.run(post())

    def outcomes(self, fragment_ids: Sequence[str], seconds: float = 20) -> list[FragmentStatus]:
        """Wait until each fragment is in a block or rejected; what became of them, in order."""

        async def follow() -> list[FragmentStatus]:
            async with asyncio.timeout(seconds), NodeRest(self.rest_url) as node:
                while True:
                    statuses = await node.fragment_statuses(fragment_ids)
                    if all(
                        fragment in statuses and statuses[fragment].state is not FragmentState.PENDING
                        for fragment in fragment_ids
                    ):
                        return [statuses[fragment] for fragment in fragment_ids]
                    await asyncio.sleep(POLL_SECONDS)

        return asyncio.run(follow())

    def plan_ids(self) -> list[str]:
        """The plans on the chain."""

        async def ask() -> list[str]:
            async with NodeRest(self.rest_url) as node:
                return list(await node.vote_plans())

        return asyncio.run(ask())
