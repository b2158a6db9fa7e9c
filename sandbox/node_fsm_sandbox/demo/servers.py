"""The world around the services: Postgres and S3, the schema in the one, the keys in the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from node_fsm.database.administration import add_node
from node_fsm.database.migrate import upgrade
from node_fsm.database.session import Session
from node_fsm.s3.store import S3Store
from node_fsm_sandbox.demo.concurrency import together
from node_fsm_sandbox.demo.member import BUCKET, Part
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import EmbeddedS3
from node_fsm_sandbox.servers.server import EmbeddedServer

_DATABASE = "elections"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the database and S3 are, a client of each, and both as they run here."""

    database_url: str
    s3_url: str
    session: Session
    store: S3Store
    running: tuple[EmbeddedServer, ...]


@asynccontextmanager
async def running_servers(parts: Sequence[Part]) -> AsyncIterator[Servers]:
    """Postgres with the schema and a row for each node, S3 with the leaders' keys; both gone afterwards."""
    async with AsyncExitStack() as stack:
        postgres, s3 = EmbeddedPostgres(fast=True), EmbeddedS3()
        for server in (postgres, s3):
            stack.push_async_callback(server.stop)
        await together(postgres.start(), s3.start())
        database_url = await postgres.create_database(_DATABASE)
        session = Session(database_url)
        stack.push_async_callback(session.close)
        store = S3Store(s3.endpoint_url)
        stack.push_async_callback(store.close)
        await together(_add_nodes(database_url, session, parts), _put_keys(s3, parts))
        yield Servers(database_url, s3.endpoint_url, session, store, (postgres, s3))


async def _add_nodes(database_url: str, session: Session, parts: Sequence[Part]) -> None:
    await upgrade(database_url)
    for part in parts:
        await add_node(session, part.hostname, part.wallet.leader_id if part.wallet else None)


async def _put_keys(s3: EmbeddedS3, parts: Sequence[Part]) -> None:
    await s3.make_bucket(BUCKET)
    with closing(s3.client()) as client:
        for part in parts:
            if part.wallet:
                body = part.wallet.secret.reveal().encode()
                await asyncio.to_thread(client.put_object, Bucket=BUCKET, Key=part.key_name, Body=body)
