"""The right to publish: one process at a time, and never two hosts with leader 0's node unless a person says so."""

import asyncio
from typing import ClassVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from node_fsm.core.cluster import Lease
from node_fsm.core.errors import PermanentError
from node_fsm.database.adapter import PostgresDatabase
from node_fsm.database.administration import take_lease
from node_fsm.database.lease import require_lease

EXPIRE = "UPDATE lease SET expires_at = clock_timestamp()"
HOSTS = ("a", "b", "c")


async def acquire(database: PostgresDatabase, hostname: str, instance: str = "storage") -> Lease | None:
    return await database.acquire_lease(hostname, instance, 60)


async def holds(database: PostgresDatabase, generation: int) -> bool:
    try:
        async with database.session.transaction("require") as connection:
            await require_lease(connection, generation)
    except PermanentError:
        return False
    return True


async def test_the_first_takes_it_and_renews_it_under_the_same_generation(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    first = await acquire(database, "a")
    assert first is not None
    now = await sql.fetchval("SELECT clock_timestamp()")
    assert 55 < (first.expires_at - now).total_seconds() <= 60
    renewed = await database.acquire_lease("a", "storage", 120)
    assert renewed is not None
    assert (renewed.generation, renewed.unconfirmed_holder) == (first.generation, None)
    assert renewed.expires_at > first.expires_at


async def test_a_new_process_of_the_same_instance_takes_it_at_once_under_a_new_generation(
    database: PostgresDatabase, database_url: str
) -> None:
    first = await acquire(database, "a")
    restarted = PostgresDatabase(database_url)
    second = await acquire(restarted, "a")
    await restarted.close()
    assert first is not None
    assert second is not None
    assert (second.generation, second.unconfirmed_holder) == (first.generation + 1, None)
    assert not await holds(database, first.generation)


@pytest.mark.parametrize(("hostname", "instance"), [("b", "storage"), ("a", "other storage")])
async def test_another_instance_waits_until_it_expires(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str, hostname: str, instance: str
) -> None:
    first = await acquire(database, "a")
    assert first is not None
    other = PostgresDatabase(database_url)
    assert await acquire(other, hostname, instance) is None
    await sql.execute(EXPIRE)
    assert not await holds(database, first.generation)
    taken = await acquire(other, hostname, instance)
    await other.close()
    assert taken is not None
    assert taken.generation == first.generation + 1
    assert taken.unconfirmed_holder == ("a" if hostname == "b" else None)
    assert await holds(database, taken.generation) is (hostname == "a")


async def test_a_holder_that_was_frozen_has_it_back_from_one_that_took_it_unconfirmed(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str
) -> None:
    """Only the frozen one can have a node; were the other's right to last, neither could publish and run one."""
    await acquire(database, "a")
    await sql.execute(EXPIRE)
    other = PostgresDatabase(database_url)
    taken = await acquire(other, "b")
    assert taken is not None
    back = await acquire(database, "a")
    assert back is not None
    assert (back.generation, back.unconfirmed_holder) == (taken.generation + 1, None)
    assert await holds(database, back.generation)
    assert await acquire(other, "b") is None
    await other.close()


async def test_it_is_free_at_once_when_the_holder_has_stopped(database: PostgresDatabase, database_url: str) -> None:
    first = await acquire(database, "a")
    assert first is not None
    await database.release_lease(first)
    assert not await holds(database, first.generation)
    other = PostgresDatabase(database_url)
    taken = await acquire(other, "b")
    await other.close()
    assert taken is not None
    assert taken.unconfirmed_holder is None


async def test_a_holder_that_stops_late_confirms_it_to_its_successor(
    database: PostgresDatabase, sql: asyncpg.Connection, database_url: str
) -> None:
    first = await acquire(database, "a")
    assert first is not None
    await sql.execute(EXPIRE)
    other = PostgresDatabase(database_url)
    taken = await acquire(other, "b")
    assert taken is not None
    assert taken.unconfirmed_holder == "a"
    assert not await holds(other, taken.generation), "the right to publish is where the node may be"
    await database.release_lease(first)
    assert await holds(other, taken.generation)
    confirmed = await acquire(other, "b")
    await other.close()
    assert confirmed is not None
    assert (confirmed.generation, confirmed.unconfirmed_holder) == (taken.generation, None)


async def test_a_person_may_confirm_it_on_the_successors_host(
    database: PostgresDatabase, sql: asyncpg.Connection
) -> None:
    await acquire(database, "a")
    await sql.execute(EXPIRE)
    await acquire(database, "b")
    assert await take_lease(database.session, "b") == ("a",)
    confirmed = await acquire(database, "b")
    assert confirmed is not None
    assert confirmed.unconfirmed_holder is None
    assert await take_lease(database.session, "b") == ()


async def test_a_person_may_take_it_before_it_expires(database: PostgresDatabase) -> None:
    held = await acquire(database, "a")
    assert held is not None
    assert await take_lease(database.session, "b") == ("a",)
    assert not await holds(database, held.generation)
    taken = await acquire(database, "b")
    assert taken is not None
    assert taken.unconfirmed_holder is None


async def test_nobody_has_held_it_yet(database: PostgresDatabase) -> None:
    assert await take_lease(database.session, "a") == ()


async def test_of_many_at_once_one_gets_it(database: PostgresDatabase) -> None:
    leases = await asyncio.gather(*(acquire(database, f"host{number}") for number in range(8)))
    assert sum(lease is not None for lease in leases) == 1


class Hosts(RuleBasedStateMachine):
    """Hosts that take turns, freeze, crash and come back, each telling the truth about its own node only.

    A host starts its node when it holds the lease and nobody is unconfirmed; the node outlives the lease, a freeze
    and a crash of the service, and ends when the service stops in order or a person stops the host.
    """

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.sql: asyncpg.Connection = self.runner.run(asyncpg.connect(self.url.replace("+asyncpg", "")))
        self.services = {host: PostgresDatabase(self.url) for host in HOSTS}
        self.leases: dict[str, Lease] = {}
        self.with_node: set[str] = set()
        self.holders: dict[int, str] = {}

    @initialize()
    def forget(self) -> None:
        self.runner.run(self.sql.execute("DELETE FROM lease"))

    @rule(host=st.sampled_from(HOSTS))
    def acquire(self, host: str) -> None:
        lease = self.runner.run(acquire(self.services[host], host))
        if lease is None:
            return
        assert self.holders.setdefault(lease.generation, host) == host
        assert lease.generation == max(self.holders)
        assert self.runner.run(holds(self.services[host], lease.generation)) is (lease.unconfirmed_holder is None)
        self.leases[host] = lease
        if lease.unconfirmed_holder is None:
            self.with_node.add(host)
        else:
            assert lease.unconfirmed_holder != host

    @rule(host=st.sampled_from(HOSTS))
    def stop(self, host: str) -> None:
        if lease := self.leases.pop(host, None):
            self.with_node.discard(host)
            self.runner.run(self.services[host].release_lease(lease))

    @rule(host=st.sampled_from(HOSTS))
    def crash(self, host: str) -> None:
        self.runner.run(self.services[host].close())
        self.services[host] = PostgresDatabase(self.url)
        self.leases.pop(host, None)

    @rule()
    def expire(self) -> None:
        self.runner.run(self.sql.execute(EXPIRE))

    @rule(host=st.sampled_from(HOSTS))
    def take(self, host: str) -> None:
        self.with_node &= {host}
        self.leases = {other: lease for other, lease in self.leases.items() if other == host}
        self.runner.run(take_lease(self.services[host].session, host))

    @invariant()
    def one_host_at_most_runs_the_node(self) -> None:
        assert len(self.with_node) <= 1

    @invariant()
    def one_generation_at_most_may_publish(self) -> None:
        any_service = self.services[HOSTS[0]]
        may_publish = [number for number in self.holders if self.runner.run(holds(any_service, number))]
        assert may_publish in ([], [max(self.holders, default=0)])

    def teardown(self) -> None:
        for service in self.services.values():
            self.runner.run(service.close())
        self.runner.run(self.sql.close())
        self.runner.close()


def test_whatever_hosts_do_one_publishes_and_one_runs_the_node(database_url: str) -> None:
    class OnThisDatabase(Hosts):
        url = database_url

    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
