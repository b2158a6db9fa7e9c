"""The right to publish: one row, taken by compare-and-set, that says by the database's clock who holds it until when.

Its generation grows with every holder, process by process, so that whoever was frozen and thaws cannot publish under
an old one. That the holder's node has stopped is only known when the holder said so: until then the next one on another
host has an *unconfirmed holder*, and may neither publish nor start a node with the same key. So an unconfirmed holder
that shows up alive has the lease again at once: it alone may have a node.
"""

from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from node_fsm.core.cluster import Lease
from node_fsm.core.errors import PermanentError
from node_fsm.database.session import Session

# Whose node may run with leader 0's key is at most one host: the unconfirmed holder if there is one, for then the
# holder has started none, else the holder until it says that it stopped.
_ACQUIRE = text("""
    INSERT INTO lease AS held (name, holder, instance, process, generation, expires_at, stopped)
    VALUES ('leader0', :holder, :instance, :process, 1, clock_timestamp() + make_interval(secs => :seconds), false)
    ON CONFLICT (name) DO UPDATE SET
        holder = excluded.holder, instance = excluded.instance, process = excluded.process,
        generation = held.generation + CASE WHEN held.process = excluded.process THEN 0 ELSE 1 END,
        expires_at = clock_timestamp() + make_interval(secs => :seconds),
        stopped = false,
        unconfirmed_holder = nullif(
            coalesce(held.unconfirmed_holder, CASE WHEN NOT held.stopped THEN held.holder END), excluded.holder)
    WHERE held.stopped OR held.expires_at <= clock_timestamp()
        OR (held.holder, held.instance) = (excluded.holder, excluded.instance)
        OR held.unconfirmed_holder = excluded.holder
    RETURNING holder, generation, expires_at, unconfirmed_holder
""")
_RELEASE = text("""
    UPDATE lease SET stopped = stopped OR generation = :generation,
        unconfirmed_holder = nullif(unconfirmed_holder, :holder)
    WHERE generation = :generation OR unconfirmed_holder = :holder
""")
_REQUIRE = text("""
    SELECT generation FROM lease
    WHERE generation = :generation AND NOT stopped AND expires_at > clock_timestamp() AND unconfirmed_holder IS NULL
    FOR SHARE
""")


class Leases:
    """Of the Database port: the lease. Each object is a process of its own to it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process = uuid4().hex

    async def acquire_lease(self, hostname: str, instance: str, seconds: float) -> Lease | None:
        """Take or renew the right to publish for *seconds*; None while another holder's has not expired.

        An unconfirmed holder has it back from whoever took it meanwhile. *instance* names the
        storage directory (one process at a time): the same instance renews at once, also after a crash, under a new
        generation when the process is new.
        """
        arguments = {"holder": hostname, "instance": instance, "process": self._process, "seconds": seconds}
        async with self._session.transaction("acquire_lease") as connection:
            row = (await connection.execute(_ACQUIRE, arguments)).one_or_none()
        return Lease(row.holder, row.generation, row.expires_at, row.unconfirmed_holder) if row else None

    async def release_lease(self, lease: Lease) -> None:
        """Say that this holder has stopped, its node included."""
        async with self._session.transaction("release_lease") as connection:
            await connection.execute(_RELEASE, {"holder": lease.holder, "generation": lease.generation})


async def require_lease(connection: AsyncConnection, generation: int) -> None:
    """Keep others from the lease until this transaction ends; PermanentError unless *generation* holds it now.

    To be called last, so that what is published is committed while the lease is held.
    """
    if await connection.scalar(_REQUIRE, {"generation": generation}) is None:
        raise PermanentError(
            "PublicationRefused",
            f"the right to publish under generation {generation} of the lease has expired or gone to another process,"
            " or another host held it before and never said that it stopped",
        )
