"""The specifications of elections, read once for each revision, and their voters, whose number has no bound."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing

from loguru import logger
from sqlalchemy import select

from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ElectionSpec
from node_fsm.database import tables
from node_fsm.database.canonical import differences
from node_fsm.database.session import BULK_SECONDS, Session
from node_fsm.database.specification import ELECTION_GONE, Specified, election_gone, read_specification

AMOUNTS_SIZE = 5000

PAUSE_SECONDS = 1.0
"""Between two readings of an election that nobody waits for: an edit script makes many revisions a second."""

_FUNDS = """
    SELECT min(address), sum(voting_power / $2)::bigint FROM voter WHERE election = $1
    GROUP BY voting_key HAVING sum(voting_power / $2) > 0 ORDER BY voting_key
"""
_TOKENS = """
    SELECT address, voting_power / $3 FROM voter WHERE election = $1 AND voting_group = $2 AND voting_power >= $3
    ORDER BY voting_key
"""


class Specifications:
    """Of the Database port: what was specified. It is read once for each revision: fingerprinting reads every voter.

    *on_known* is called when a reading that :meth:`known` began has brought something new.
    """

    def __init__(self, session: Session, on_known: Callable[[], None]) -> None:
        self._session = session
        self._on_known = on_known
        self._known: dict[int, Specified] = {}
        self._faults: dict[int, tuple[int, PermanentError]] = {}
        """With the revision that was looked for."""
        self._reading: dict[int, asyncio.Task[Specified]] = {}
        self._begun: dict[int, float] = {}

    async def close(self) -> None:
        """End what is being read."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def specification(self, election_id: int) -> ElectionSpec:
        """All that was specified for one election; PermanentError ``ElectionGone`` when its row is gone."""
        return (await self._present(election_id)).spec

    async def drift(self, election_id: int, block0_hash: str) -> str:
        """What differs between the specification that was published and the present one, in a few words."""
        present = await self._present(election_id)
        published = tables.published_specification
        async with self._session.transaction("drift") as connection:
            canonical = await connection.scalar(
                select(published.c.canonical).where(published.c.block0_hash == block0_hash)
            )
        if canonical is None:
            raise PermanentError("Block0Unknown", f"no specification was published with block 0 {block0_hash}")
        return differences(canonical, present.canonical)

    async def funds(self, election_id: int, power_unit: int) -> AsyncIterator[list[tuple[str, int]]]:
        """Batches of (address, units summed over groups), by voting key; voters below one unit are left out."""
        async with aclosing(self._session.batches(_FUNDS, election_id, power_unit, size=AMOUNTS_SIZE)) as batches:
            async for rows in batches:
                yield [(address, units) for address, units in rows]

    async def tokens(
        self, election_id: int, voting_group: str, power_unit: int
    ) -> AsyncIterator[list[tuple[str, int]]]:
        """Batches of (address, units) of one group, by voting key; voters below one unit are left out."""
        arguments = (election_id, voting_group, power_unit)
        async with aclosing(self._session.batches(_TOKENS, *arguments, size=AMOUNTS_SIZE)) as batches:
            async for rows in batches:
                yield [(address, units) for address, units in rows]

    def known(self, election_id: int, revision: int) -> Specified | PermanentError | None:
        """The specification as of *revision*, or why it cannot be read; None, without waiting, while it is not known.

        What is not known is read beside. However often this is asked, an election is read about once a second.
        """
        known = self._known.get(election_id)
        if known and known.spec.revision == revision:
            return known
        looked_for, error = self._faults.get(election_id, (revision, None))
        fault = error if looked_for == revision else None
        if election_id not in self._reading:
            now = asyncio.get_running_loop().time()
            begin = max(now, self._begun.get(election_id, -PAUSE_SECONDS) + PAUSE_SECONDS)
            self._begun[election_id] = begin
            task = self._begin_reading(election_id, revision, begin - now)
            task.add_done_callback(lambda _: self._tell_of(election_id, fault))
        return fault

    def forget_all_but(self, election_ids: Collection[int]) -> None:
        """Keep only the specifications of these elections."""
        for kept in (self._known, self._faults, self._begun):
            for election_id in kept.keys() - set(election_ids):
                del kept[election_id]

    async def specified(self, election_id: int, revision: int) -> Specified:
        """The specification as of *revision*, or as it is now.

        Reading goes on when the caller gives up waiting, so that one that takes longer than callers are patient is
        there for the next caller.
        """
        known = self._known.get(election_id)
        if known and known.spec.revision == revision:
            return known
        specified = await asyncio.shield(self._begin_reading(election_id, revision))
        if specified.spec.revision < revision:  # that had been begun before this revision was there
            specified = await asyncio.shield(self._begin_reading(election_id, revision))
        return specified

    async def _present(self, election_id: int) -> Specified:
        revision = tables.election_revision.c
        async with self._session.transaction("revision") as connection:
            present = await connection.scalar(select(revision.revision).where(revision.election == election_id))
        if present is None:
            raise election_gone(election_id)
        return await self.specified(election_id, present)

    def _begin_reading(self, election_id: int, revision: int, pause: float = 0.0) -> asyncio.Task[Specified]:
        task = self._reading.get(election_id)
        if task is None:
            task = asyncio.create_task(self._read(election_id, pause), name=f"specification of election {election_id}")
            self._reading[election_id] = task
            task.add_done_callback(lambda done: self._have_read(election_id, revision, done))
        return task

    async def _read(self, election_id: int, pause: float) -> Specified:
        await asyncio.sleep(pause)
        async with self._session.transaction("specification", BULK_SECONDS, snapshot=True) as connection:
            return await read_specification(connection, election_id)

    def _have_read(self, election_id: int, revision: int, task: asyncio.Task[Specified]) -> None:
        del self._reading[election_id]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._known[election_id] = task.result()
            self._faults.pop(election_id, None)
        elif isinstance(error, PermanentError) and error.reason != ELECTION_GONE:
            self._faults[election_id] = (revision, error)
        else:
            logger.debug("the specification of election {} is not read: {}", election_id, error)

    def _tell_of(self, election_id: int, fault: PermanentError | None) -> None:
        """Call *on_known*, unless what is known is the *fault* that was known before."""
        _, now = self._faults.get(election_id, (0, None))
        if now is None or str(now) != str(fault):
            self._on_known()
