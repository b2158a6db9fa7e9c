"""The faulty proxy, between a client and a server that work."""

import asyncio

import asyncpg
import boto3
import pytest
from botocore.config import Config
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres

from tests.support.bucket import Bucket
from tests.support.polling import HANGING
from tests.support.proxy import FaultyProxy


async def connect(server: EmbeddedPostgres, proxy: FaultyProxy) -> asyncpg.Connection:
    through = server.url().replace("+asyncpg", "").replace(f":{server.port}/", f":{proxy.port}/")
    return await asyncpg.connect(through, timeout=HANGING)


async def test_a_cut_breaks_connections_but_not_the_way(postgres_server: EmbeddedPostgres) -> None:
    with FaultyProxy(postgres_server.port) as proxy:
        broken = await connect(postgres_server, proxy)
        proxy.cut()
        with pytest.raises((ConnectionError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)):
            await broken.fetchval("SELECT 1", timeout=HANGING)
        again = await connect(postgres_server, proxy)
        assert await again.fetchval("SELECT 1", timeout=HANGING) == 1
        await again.close()


async def test_refused_until_healed(postgres_server: EmbeddedPostgres) -> None:
    with FaultyProxy(postgres_server.port) as proxy:
        broken = await connect(postgres_server, proxy)
        proxy.refuse()
        with pytest.raises((ConnectionError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)):
            await broken.fetchval("SELECT 1", timeout=HANGING)
        with pytest.raises(ConnectionRefusedError):
            await connect(postgres_server, proxy)
        proxy.heal()
        again = await connect(postgres_server, proxy)
        assert await again.fetchval("SELECT 1", timeout=HANGING) == 1
        await again.close()


async def test_a_black_hole_swallows_all_until_healed(postgres_server: EmbeddedPostgres) -> None:
    with FaultyProxy(postgres_server.port) as proxy:
        connection = await connect(postgres_server, proxy)
        proxy.blackhole()
        with pytest.raises(TimeoutError):
            await asyncpg.connect(host="127.0.0.1", port=proxy.port, user="postgres", password="", timeout=0.3)
        answer = asyncio.create_task(connection.fetchval("SELECT 42"))
        await asyncio.wait([answer], timeout=0.3)
        assert not answer.done()
        proxy.heal()
        assert await asyncio.wait_for(answer, HANGING) == 42
        await connection.close()


async def test_what_was_done_is_answered_to_nobody(postgres_server: EmbeddedPostgres) -> None:
    name = "answers_lost"
    with FaultyProxy(postgres_server.port) as proxy:
        connection = await connect(postgres_server, proxy)
        proxy.lose_answers_to(b"COMMIT")
        with pytest.raises((ConnectionError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)):
            await connection.execute(f"BEGIN; CREATE ROLE {name}; COMMIT", timeout=HANGING)
        assert proxy.answers_lost == 1
        proxy.heal()
        again = await connect(postgres_server, proxy)
        assert await again.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", name, timeout=HANGING) == 1
        await again.execute(f"DROP ROLE {name}", timeout=HANGING)
        await again.close()


async def test_an_end_of_stream_is_passed_on_after_all_data() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    with FaultyProxy(server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"vote" * 500_000)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), HANGING) == b"VOTE" * 500_000
        writer.close()
    server.close()


async def test_an_upstream_that_is_down_resets_the_client() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    with FaultyProxy(port) as proxy:

        async def ask() -> None:
            reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
            await reader.read()

        with pytest.raises(ConnectionResetError):  # before or after the client has seen that it is connected
            await asyncio.wait_for(ask(), HANGING)


def test_a_client_that_blocks_its_thread_gets_through(s3_bucket: Bucket) -> None:
    with FaultyProxy(int(s3_bucket.endpoint_url.rsplit(":", 1)[1])) as proxy:
        config = Config(connect_timeout=HANGING, read_timeout=HANGING, retries={"total_max_attempts": 1})
        endpoint = f"http://127.0.0.1:{proxy.port}"
        client = boto3.session.Session().client("s3", endpoint_url=endpoint, config=config)
        client.put_object(Bucket=s3_bucket.name, Key="key", Body=b"value")
    assert s3_bucket.client.get_object(Bucket=s3_bucket.name, Key="key")["Body"].read() == b"value"
