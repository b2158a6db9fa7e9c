"""The databases that one suite is held against: Postgres behind its adapter, and that of the phase tests."""

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg

from node_fsm.core.model import ElectionSpec, NodeRow, Objective, Proposal, VotingGroup
from node_fsm.core.payload_type import PayloadType
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.ports import Database, MachineClock
from tests.database.world import GROUPS, OPTIONS, START, add_election
from tests.support.memory_database import MemoryDatabase, Row
from tests.support.roles import DatabaseRole


class Stand(ABC):
    """A database, and what operators and time do to it behind the service's back."""

    database: Database

    @abstractmethod
    async def add_election(self, name: str = "Fund 1", start: datetime = START) -> int:
        """An election of a day with a committee and two groups: four voters with powers of 500, 30, 4 and 7."""

    @abstractmethod
    async def edit(self, election: int) -> None:
        """Double what a unit of voting power stands for, so that block 0 would be another."""

    @abstractmethod
    async def cancel(self, election: int) -> None:
        """As ``node-fsm election cancel`` does."""

    @abstractmethod
    async def damage(self, election: int) -> None:
        """Put a time into the row that cannot be."""

    @abstractmethod
    async def vanish(self, election: int) -> None:
        """Take block 0 out of the row."""

    @abstractmethod
    async def forget(self, election: int) -> None:
        """Be a copy of before anything was published."""

    @abstractmethod
    async def add_node(self, hostname: str, leader_id: str | None) -> None: ...

    @abstractmethod
    async def expire_lease(self) -> None: ...

    @abstractmethod
    async def another_process(self) -> Database:
        """The same database as another service has it, or this one after a restart."""

    @abstractmethod
    async def journalled(self) -> list[tuple[str, str, str]]:
        """What stands in the journal: hostname, event, reason, in the order of writing."""


class PostgresStand(Stand):
    """Postgres, with no more rights than leader 0 is given."""

    def __init__(self, url: str, sql: asyncpg.Connection, closing: AsyncExitStack) -> None:
        self._url, self._sql, self._closing = url, sql, closing
        self.database = self._adapter()

    def _adapter(self) -> PostgresDatabase:
        adapter = PostgresDatabase(DatabaseRole.LEADER0.url(self._url))
        self._closing.push_async_callback(adapter.close)
        return adapter

    async def add_election(self, name: str = "Fund 1", start: datetime = START) -> int:
        return await add_election(self._sql, name, start=start)

    async def edit(self, election: int) -> None:
        await self._sql.execute("UPDATE election SET voting_power_unit = 2 WHERE id = $1", election)

    async def cancel(self, election: int) -> None:
        await self._sql.execute("UPDATE election SET cancelled_at = now() WHERE id = $1", election)

    async def damage(self, election: int) -> None:
        await self._sql.execute("ALTER TABLE election DROP CONSTRAINT tallying_end_can_be")
        await self._sql.execute("UPDATE election SET tallying_end = '20270-01-01Z' WHERE id = $1", election)

    async def vanish(self, election: int) -> None:
        await self._sql.execute("UPDATE election SET extras = extras - 'block0' WHERE id = $1", election)

    async def forget(self, election: int) -> None:
        await self.vanish(election)
        await self._sql.execute("DELETE FROM vote_plan WHERE election = $1", election)
        await self._sql.execute("DELETE FROM published_specification WHERE election = $1", election)

    async def add_node(self, hostname: str, leader_id: str | None) -> None:
        await self._sql.execute("INSERT INTO jorm_nodes VALUES ($1, $2)", hostname, leader_id)

    async def expire_lease(self) -> None:
        await self._sql.execute("UPDATE lease SET expires_at = clock_timestamp()")

    async def another_process(self) -> Database:
        return self._adapter()

    async def journalled(self) -> list[tuple[str, str, str]]:
        rows = await self._sql.fetch("SELECT hostname, event, reason FROM phase_journal ORDER BY id")
        return [tuple(row) for row in rows]


class MemoryStand(Stand):
    """The one in memory."""

    def __init__(self) -> None:
        self.database: MemoryDatabase = MemoryDatabase(MachineClock())

    async def add_election(self, name: str = "Fund 1", start: datetime = START) -> int:
        election = len(self.database.rows) + 1
        spec = ElectionSpec(
            id=election,
            name=name,
            revision=1,
            fingerprint=f"1:{election}",
            voting_start=start,
            voting_end=start + timedelta(hours=24),
            tallying_end=start + timedelta(hours=48),
            committee_threshold=1,
            voting_power_unit=1,
            committee=(),
            objectives=tuple(_objective(election, index) for index in range(len(GROUPS))),
            groups=(VotingGroup("direct", 3, 3, 534), VotingGroup("rep", 1, 1, 7)),
            fund_holders=3,
            address_prefixes=("ca",),
        )
        powers = [(1, "direct", 500), (2, "direct", 30), (3, "direct", 4), (1, "rep", 7)]
        self.database.rows[election] = Row(spec, [(f"ca1address{key}", group, power) for key, group, power in powers])
        return election

    async def edit(self, election: int) -> None:
        self.database.rows[election].edit(voting_power_unit=2, fingerprint="1:edited")

    async def cancel(self, election: int) -> None:
        self.database.rows[election].cancelled = True

    async def damage(self, election: int) -> None:
        self.database.rows[election].fault = f"election.tallying_end of election {election} is 20270-01-01"

    async def vanish(self, election: int) -> None:
        self.database.rows[election].block0 = None

    async def forget(self, election: int) -> None:
        await self.vanish(election)
        self.database.forget(election)

    async def add_node(self, hostname: str, leader_id: str | None) -> None:
        self.database.nodes.append(NodeRow(hostname, leader_id, None))

    async def expire_lease(self) -> None:
        assert self.database.lease
        self.database.lease = replace(self.database.lease, expires_at=datetime.now(UTC))

    async def another_process(self) -> Database:
        return self.database.another_process()

    async def journalled(self) -> list[tuple[str, str, str]]:
        return [(entry.hostname, entry.event, entry.reason) for entry in self.database.journalled]


def _objective(election: int, index: int) -> Objective:
    proposals = tuple(
        Proposal(100 * election + 10 * index + number, bytes([number]) * 32, OPTIONS) for number in range(2 - index)
    )
    return Objective(index, GROUPS[index], PayloadType.PUBLIC, GROUPS[index], proposals)
