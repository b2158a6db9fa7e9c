"""The HTTP server: what clients send, and how they break off."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest
import pytest_asyncio
from node_fsm_sandbox.node import http_server
from node_fsm_sandbox.node.address import Address
from node_fsm_sandbox.node.http_server import HttpServer, Request, Response
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from tests.support.polling import HANGING


def echo(request: Request) -> Response:
    return Response.json([request.method, list(request.path), dict(request.query), request.body.decode()])


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    server, port = HttpServer(echo), free_port()
    await server.start(Address(LOOPBACK, port))
    yield port
    await server.stop()


async def exchange(port: int, sent: bytes) -> bytes:
    """What comes back until the server closes the connection, after the client has ended its half."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(HANGING):
        answer = await reader.read()
    writer.close()
    return answer


async def test_requests_on_one_connection(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False) as client:
        first = await client.get("/a//b/", params={"x": "1,2", "y": ""})
        second = await client.post("/c", content=b"body")
    assert first.json() == ["GET", ["a", "", "b"], {"x": "1,2", "y": ""}, ""]
    assert second.json() == ["POST", ["c"], {}, "body"]


async def test_requests_at_once(port: int) -> None:
    answer = await exchange(
        port, b"GET /a HTTP/1.1\r\nHost: node\r\n\r\nGET /b HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"connection: close" in answer.lower()


async def test_head_has_no_body(port: int) -> None:
    answer = await exchange(port, b"HEAD /a HTTP/1.1\r\nHost: node\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length: 20" in head


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: node\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: node\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: node\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_no_request(port: int, sent: bytes) -> None:
    answer = await exchange(port, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_body_in_chunks(port: int) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(port, chunked + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert answer.endswith(b'["POST",[""],{},"abc"]')


async def test_a_client_that_waits_to_be_told_to_send_its_body_is_told(port: int) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(HANGING):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_what_is_too_large_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_MAX_BODY", 3)
    post = b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: %d\r\n\r\n%s"
    assert (await exchange(port, post % (3, b"abc"))).startswith(b"HTTP/1.1 200 OK")
    assert (await exchange(port, post % (4, b"abcd"))).startswith(b"HTTP/1.1 413 ")
    assert (await exchange(port, b"GET /" + b"a" * 2**16)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"])
async def test_who_is_idle_or_slow_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_server, "_EXCHANGE_SECONDS", 2)
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(sent)  # and then nothing, with the connection left open
    async with asyncio.timeout(HANGING):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK") == sent.endswith(b"\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 10\r\n\r\nabc"])
async def test_clients_that_break_off(port: int, sent: bytes) -> None:
    assert await exchange(port, sent) in {
        b"",
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    }
    assert (await exchange(port, b"GET /a HTTP/1.1\r\nHost: node\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


def test_an_answer_without_a_body_has_no_type() -> None:
    assert Response(HTTPStatus.NOT_FOUND) == (HTTPStatus.NOT_FOUND, b"", None)
