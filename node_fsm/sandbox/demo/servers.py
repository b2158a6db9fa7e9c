"""The world around the services: Postgres and S3, the schema in the one, the keys in the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from node_fsm.database.administration import add_node
from node_fsm.database.migrate import upgrade
from node_fsm.database.session import Session
from node_fsm.s3 import S3Store
from node_fsm.sandbox.demo.member import BUCKET, Part
from node_fsm.sandbox.postgres import EmbeddedPostgres
from node_fsm.sandbox.s3 import EmbeddedS3

_DATABASE = "elections"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the database and S3 are, and a client of each."""

    database_url: str
    s3_url: str
    session: Session
    store: S3Store


@asynccontextmanager
async def running_servers(parts: Sequence[Part]) -> AsyncIterator[Servers]:
    """Postgres with the schema and a row for each node, S3 with the leaders' keys; both gone afterwards."""
    async with AsyncExitStack() as stack:
        postgres, s3 = EmbeddedPostgres(fast=True), EmbeddedS3()
        for server in (postgres, s3):
            stack.push_async_callback(server.stop)
        (database_url, session), _ = await asyncio.gather(_database(postgres, parts), _keys(s3, parts))
        stack.push_async_callback(session.close)
        store = S3Store(s3.endpoint_url)
        stack.push_async_callback(store.close)
        yield Servers(database_url, s3.endpoint_url, session, store)


async def _database(postgres: EmbeddedPostgres, parts: Sequence[Part]) -> tuple[str, Session]:
    await postgres.start()
    url = await postgres.create_database(_DATABASE)
    await upgrade(url)
    session = Session(url)
    for part in parts:
        await add_node(session, part.hostname, part.wallet.leader_id if part.wallet else None)
    return url, session


async def _keys(s3: EmbeddedS3, parts: Sequence[Part]) -> None:
    await s3.start()
    await s3.make_bucket(BUCKET)
    client = s3.client()
    for part in parts:
        if part.wallet:
            body = part.wallet.secret.reveal().encode()
            await asyncio.to_thread(client.put_object, Bucket=BUCKET, Key=part.key_name, Body=body)
    client.close()
