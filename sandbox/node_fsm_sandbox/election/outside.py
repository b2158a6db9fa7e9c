"""The world around the services: Postgres and S3, the schema in the one, the keys in the other."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from node_fsm.database.administration import add_node
from node_fsm.database.migrate import upgrade
from node_fsm.database.session import Session
from node_fsm.s3.store import S3Store
from node_fsm_sandbox.election.concurrency import together
from node_fsm_sandbox.election.part import Part
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import EmbeddedS3, put_object
from node_fsm_sandbox.servers.server import EmbeddedServer

_DATABASE = "elections"


@dataclass(frozen=True, slots=True)
class Outside:
    """Where services find their database and their bucket."""

    database_url: str
    s3_url: str
    bucket: str

    async def register(self, parts: Sequence[Part]) -> None:
        """Write a row for each node, and put the leaders' keys into the bucket."""
        session = Session(self.database_url)
        try:
            for part in parts:
                await add_node(session, part.hostname, part.wallet.leader_id if part.wallet else None)
                if part.wallet:
                    await put_object(self.s3_url, self.bucket, part.key_name, part.wallet.secret.reveal().encode())
        finally:
            await session.close()


@dataclass(frozen=True, slots=True)
class Servers:
    """What is outside, a client of each, and both servers as they run here."""

    outside: Outside
    session: Session
    store: S3Store
    running: tuple[EmbeddedServer, ...]


@asynccontextmanager
async def running_servers(bucket: str) -> AsyncIterator[Servers]:
    """Postgres with the schema, S3 with the bucket; both gone afterwards."""
    async with AsyncExitStack() as stack:
        postgres, s3 = EmbeddedPostgres(fast=True), EmbeddedS3()
        for server in (postgres, s3):
            stack.push_async_callback(server.stop)
        await together(postgres.start(), s3.start())
        outside = Outside(await postgres.create_database(_DATABASE), s3.endpoint_url, bucket)
        session = Session(outside.database_url)
        stack.push_async_callback(session.close)
        store = S3Store(s3.endpoint_url)
        stack.push_async_callback(store.close)
        await together(upgrade(outside.database_url), s3.make_bucket(bucket))
        yield Servers(outside, session, store, (postgres, s3))
