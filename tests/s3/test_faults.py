"""S3Store on a server that is down, hangs, stumbles or crawls: always an error of the right kind, and in time."""

import asyncio
import errno
import re
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError, SSLError
from botocore.parsers import ResponseParserError
from node_fsm_sandbox.servers.s3 import EmbeddedS3

import node_fsm.s3.store
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.s3 import parts as s3_parts
from node_fsm.s3.store import S3Store
from tests.s3.helpers import collected, keys, stream, unfinished_uploads
from tests.support.bucket import Bucket

URI = "s3://own-bucket/key"
TIMEOUT = 0.5
PATIENCE = 2 * 3 * TIMEOUT + 30
"""Two attempts of the SDK, each connecting, sending and waiting for the answer, and time for a busy machine; the
SDK's own limits would be minutes.
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are tried again at once."""
    monkeypatch.setattr(s3_parts, "RETRY_DELAYS", (0.01, 0.01))


async def assert_unavailable(attempt: Awaitable[Any], within: float) -> None:
    started = time.monotonic()
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1") as caught:
        await attempt
    assert caught.value.reason == "S3Unavailable"
    assert time.monotonic() - started < within


async def test_a_server_that_is_down(impatient: None) -> None:
    store = S3Store("http://127.0.0.1:1", timeout=TIMEOUT)
    await assert_unavailable(store.read(URI, 1), PATIENCE)
    await assert_unavailable(store.write_once(URI, b""), 3 * PATIENCE)
    await assert_unavailable(store.upload(URI, stream(b"")), PATIENCE)
    await assert_unavailable(collected(store.download(URI)), PATIENCE)
    await store.close()


async def test_a_server_that_hangs(own_server: EmbeddedS3) -> None:
    patient, store = S3Store(own_server.endpoint_url), S3Store(own_server.endpoint_url, timeout=TIMEOUT)
    assert await patient.write_once(URI, b"data")
    await own_server.pause()
    await assert_unavailable(store.read(URI, 4), PATIENCE)
    await own_server.resume()
    assert await patient.read(URI, 4) == b"data"
    await patient.close()
    await store.close()


async def test_a_cancelled_request_waits_for_its_thread(own_server: EmbeddedS3) -> None:
    sent = threading.Event()

    def tell(**_: object) -> None:
        sent.set()

    store = S3Store(own_server.endpoint_url, timeout=TIMEOUT)
    store._client.meta.events.register("before-send.s3", tell)
    await own_server.pause()
    reading = asyncio.create_task(store.read(URI, 4))
    assert await asyncio.to_thread(sent.wait, PATIENCE)
    reading.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert TIMEOUT / 2 < time.monotonic() - started < PATIENCE
    await own_server.resume()
    await store.close()


async def test_a_server_that_dies_during_a_download(
    own_server: EmbeddedS3, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store(own_server.endpoint_url)
    await store.upload(URI, stream(bytes(1000)))
    monkeypatch.setattr(node_fsm.s3.store, "PART_BYTES", 100)
    parts = store.download(URI)
    assert await anext(parts) == bytes(100)
    await own_server.kill()
    await assert_unavailable(collected(parts), 3 * PATIENCE)
    await store.close()


def stumble(store: S3Store, operation: str, *, times: int) -> None:
    """Have the next requests of a kind answered by 503."""
    left = times

    def answer(**_: object) -> AWSResponse | None:
        nonlocal left
        left -= 1
        body = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
        raw = SimpleNamespace(stream=lambda: [body])
        return AWSResponse("http://127.0.0.1", 503, HTTPHeaders(), raw) if left >= 0 else None

    hooks: Any = store._client.meta.events  # whose stubs know no answering hook
    hooks.register(f"before-send.s3.{operation}", answer)


@pytest.mark.parametrize(
    ("operation", "act"),
    [
        ("UploadPart", lambda store, uri: store.upload(uri, stream(bytes(6 * 2**20)))),
        ("CompleteMultipartUpload", lambda store, uri: store.upload(uri, stream(bytes(6 * 2**20)))),
        ("PutObject", lambda store, uri: store.write_once(uri, b"data")),
        ("GetObject", lambda store, uri: collected(store.download(uri))),
    ],
)
async def test_what_is_written_and_each_part_survive_a_server_that_stumbles(
    s3_bucket: Bucket,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    act: Callable[[S3Store, str], Awaitable[object]],
) -> None:
    monkeypatch.setattr(node_fsm.s3.store, "PART_BYTES", 5 * 2**20)
    store = S3Store(s3_bucket.endpoint_url)
    uri = f"s3://{s3_bucket.name}/key"
    if operation == "GetObject":
        await store.write_once(uri, b"data")
    stumble(store, operation, times=5)  # two tries by the SDK for each of ours
    await act(store, uri)
    assert keys(s3_bucket) == ["key"]
    await store.close()


async def test_an_upload_fails_when_the_server_goes_on_stumbling(
    s3_bucket: Bucket, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_fsm.s3.store, "PART_BYTES", 5 * 2**20)
    store = S3Store(s3_bucket.endpoint_url)
    stumble(store, "UploadPart", times=100)
    with pytest.raises(TemporaryError, match="SlowDown: Reduce your request rate"):
        await store.upload(f"s3://{s3_bucket.name}/key", stream(bytes(12 * 2**20)))
    assert keys(s3_bucket) == unfinished_uploads(s3_bucket) == []
    await store.close()


@asynccontextmanager
async def server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server of a test's own making; the URL that it serves at."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass  # the client gave up, as it should
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**12)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_a_server_that_crawls() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            writer.write(bytes(2**16))
            await writer.drain()
            await asyncio.sleep(TIMEOUT / 5)  # fast enough for the timeout of a single read

    async with server(drip) as url:
        store = S3Store(url, timeout=TIMEOUT)
        with pytest.raises(TemporaryError, match="too slowly"):
            await asyncio.wait_for(store.read(URI, 10**9), PATIENCE)
        await store.close()


async def test_a_server_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_parts, "RETRY_DELAYS", ())
    release = asyncio.Event()

    async def stare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()

    async with server(stare) as url:
        store = S3Store(url, timeout=TIMEOUT)
        await assert_unavailable(store.write_once(URI, bytes(16 * 2**20)), PATIENCE)
        release.set()
        await store.close()


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ("503 Slow Down|SlowDown", TemporaryError, "S3Unavailable"),
        ("500 Internal Server Error|InternalError", TemporaryError, "S3Unavailable"),
        ("429 Too Many Requests|TooManyRequests", TemporaryError, "S3Unavailable"),
        ("400 Bad Request|RequestTimeout", TemporaryError, "S3Unavailable"),
        ("409 Conflict|ConditionalRequestConflict", TemporaryError, "S3Unavailable"),
        ("404 Not Found|NoSuchUpload", TemporaryError, "S3UploadLost"),
        ("403 Forbidden|SignatureDoesNotMatch", PermanentError, "S3AccessDenied"),
        ("400 Bad Request|ExpiredToken", PermanentError, "S3CredentialsExpired"),
        ("403 Forbidden|RequestTimeTooSkewed", PermanentError, "S3ClockSkewed"),
        ("400 Bad Request|AuthorizationHeaderMalformed", PermanentError, "S3RegionWrong"),
        ("501 Not Implemented|NotImplemented", PermanentError, "S3Unsupported"),
        ("404 Not Found|NoSuchBucket", PermanentError, "S3BucketMissing"),
        ("400 Bad Request|InvalidArgument", PermanentError, "S3Refused"),
    ],
)
async def test_what_s3_answers_is_told_apart(answer: str, error: type[Exception], reason: str) -> None:
    status, code = answer.split("|")
    body = f"<Error><Code>{code}</Code><Message>why</Message></Error>"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()

    async with server(refuse) as url:
        store = S3Store(url)
        with pytest.raises(error, match=URI) as caught:
            await store.read(URI, 10)
        assert getattr(caught.value, "reason", None) == reason
        await store.close()


@pytest.mark.parametrize(
    ("error", "reason", "named"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "DescriptorsExhausted", "ulimit -n"),
        (EndpointConnectionError(endpoint_url="http://x", error=OSError(errno.EMFILE, "")), None, "did not answer"),
        (RuntimeError("can't start new thread"), "ProcessesExhausted", "TasksMax"),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/ca.pem"), None, "/etc/ca.pem"),
        (SSLError(endpoint_url="http://x", error=ssl.SSLError("CERTIFICATE_VERIFY_FAILED")), None, "AWS_CA_BUNDLE"),
        (ResponseParserError("no XML"), None, "NODE_FSM_S3_ENDPOINT_URL"),
        (KeyError("ETag"), None, "NODE_FSM_S3_ENDPOINT_URL"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "why"), None, "NODE_FSM_S3_ENDPOINT_URL"),
    ],
)
async def test_no_error_of_a_library_comes_through(
    s3_bucket: Bucket, error: Exception, reason: str | None, named: str
) -> None:
    def fail(**_: object) -> NoReturn:
        raise error

    store = S3Store(s3_bucket.endpoint_url)
    hooks: Any = store._client.meta.events
    hooks.register("before-call.s3", fail)
    uri = f"s3://{s3_bucket.name}/key"
    for attempt in (store.read(uri, 1), collected(store.download(uri)), store.upload(uri, stream(b""))):
        with pytest.raises(TemporaryError, match=re.escape(named)) as caught:
            await attempt
        assert caught.value.reason == (reason or "S3Unavailable")
        assert uri in caught.value.message
    await store.close()


def test_a_configuration_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", "/root/.aws/config")

    monkeypatch.setattr("boto3.session.Session.client", fail)
    with pytest.raises(PermanentError, match=r"/root/\.aws/config") as caught:
        S3Store()
    assert caught.value.reason == "S3SettingsInvalid"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("403 Forbidden|RequestTimeTooSkewed", "S3ClockSkewed"),
        ("400 Bad Request|ExpiredToken", "S3CredentialsExpired"),
        ("400 Bad Request|AuthorizationHeaderMalformed", "S3RegionWrong"),
        ("403 Forbidden|AccessDenied", "S3AccessDenied"),
    ],
)
async def test_a_refusal_without_words_is_asked_for_them(answer: str, reason: str) -> None:
    """The answer to HEAD has no body, so that it says 403 or 400 and nothing else."""
    status, code = answer.split("|")
    body = f"<Error><Code>{code}</Code><Message>why</Message><Region>eu-north-1</Region></Error>"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        said = "" if request.startswith(b"HEAD") else body
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{said}".encode())
        await writer.drain()

    async with server(refuse) as url:
        store = S3Store(url)
        for attempt in (collected(store.download(URI)), store.upload(URI, stream(b"data"))):
            with pytest.raises(PermanentError, match=code) as caught:
                await attempt
            assert caught.value.reason == reason
        assert reason != "S3RegionWrong" or "eu-north-1" in caught.value.message
        await store.close()
