"""S3 behind the ObjectStore port: boto3, which blocks, on a few threads of its own.

Every request is one call on a thread, and each of its steps (connecting, sending a part, waiting for the answer,
receiving a part) is bounded by one timeout. Large objects cross in parts, a few at once, so that memory stays flat and
a short interruption costs a part and not the object. Other requests that only ask are not repeated here, beyond what
the SDK does for a stale connection: that is for the caller, who knows how long to be patient.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, closing, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from loguru import logger

from node_fsm.aio.threads import DISK, Threads, in_thread
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.s3_uri import S3Uri
from node_fsm.ports.object_errors import STORE_UNAVAILABLE, ObjectExistsError, ObjectMissingError
from node_fsm.s3.errors import UnsupportedError, exists, translate
from node_fsm.s3.parts import in_order, patiently, regroup

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

T = TypeVar("T")
Observe = Callable[[str], AbstractContextManager[None]]
"""Entered around each request, with the name of the S3 operation; the request's error passes through it."""


class Upload(NamedTuple):
    """A multipart upload to *uri* that is neither completed nor aborted; *begun_at* is by the server's clock."""

    uri: str
    id: str
    begun_at: datetime


class _Checksum(TypedDict, total=False):
    ChecksumAlgorithm: Literal["CRC32"]


class _Condition(TypedDict, total=False):
    IfNoneMatch: str


PART_BYTES = 8 * 2**20
"""An object may have 10,000 parts, so this allows 80 GiB."""
PARTS_AT_ONCE = 3

_THREADS = 8
_SDK_ATTEMPTS = 2
_PIECE_BYTES = 256 * 2**10
_UNKNOWN = datetime.max.replace(tzinfo=UTC)
"""When an upload was begun of which a server does not say so: it is never taken for an old one."""


class S3Store:
    """Objects in S3, or in a server that speaks its protocol.

    *endpoint_url* is that server's, None for AWS. *credentials* (aws_access_key_id, aws_secret_access_key,
    aws_session_token) and the region come from the standard AWS chain where they are not given. *timeout* bounds each
    step of a request. Raises PermanentError when the endpoint or the AWS configuration cannot be used; methods raise
    TemporaryError ``S3Unavailable`` and the PermanentErrors of :mod:`node_fsm.s3.errors`.
    """

    def __init__(
        self,
        endpoint_url: str | None = None,
        *,
        credentials: Mapping[str, str] = MappingProxyType({}),
        timeout: float = 20.0,
        observe: Observe = lambda _: nullcontext(),
    ) -> None:
        self._timeout = timeout
        self._observe = observe
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            # A new connection sends under the connect timeout, and a part takes longer than a handshake.
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": _SDK_ATTEMPTS},
            max_pool_connections=_THREADS,
        )
        try:
            self._endpoint = f"S3 at {urlsplit(endpoint_url).netloc.rpartition('@')[2]}" if endpoint_url else "AWS S3"
            session = boto3.session.Session(
                aws_access_key_id=credentials.get("aws_access_key_id"),
                aws_secret_access_key=credentials.get("aws_secret_access_key"),
                aws_session_token=credentials.get("aws_session_token"),
            )
            self._client: S3Client = session.client("s3", endpoint_url=endpoint_url, config=config)
        except ValueError:
            raise PermanentError(
                "S3SettingsInvalid", "NODE_FSM_S3_ENDPOINT_URL is no URL that an S3 client takes; http://host:port is"
            ) from None
        except (BotoCoreError, OSError) as error:
            raise PermanentError("S3SettingsInvalid", f"{error}; correct the AWS_* variables and files") from error
        configured = self._client.meta.config.request_checksum_calculation  # type: ignore[attr-defined]
        self._checksummed: _Checksum = {} if configured == "when_required" else {"ChecksumAlgorithm": "CRC32"}
        self._told_unconditional = False
        self._pool = Threads(_THREADS, "s3").begin()

    async def close(self) -> None:
        """Wait for the requests under way, which the timeout bounds, and close the connections."""
        await in_thread(DISK, self._pool.shutdown)
        self._client.close()

    async def read(self, uri: str, limit: int) -> bytes:
        """The object's bytes; PermanentError when it is missing, forbidden or larger than *limit* bytes."""
        target = parse_object(uri)

        def get() -> bytes:
            response = self._client.get_object(Bucket=target.bucket, Key=target.key)
            with closing(response["Body"]) as body:
                if response["ContentLength"] > limit:
                    raise PermanentError(
                        "S3ObjectTooLarge",
                        f"{uri} has {response['ContentLength']} bytes, more than the {limit} expected there",
                    )
                return self._drain(body, target)

        return await self._request("get_object", target, get)

    async def uris(self, prefix: str) -> list[str]:
        """The URIs of the objects that begin with *prefix*, a thousand at most, in alphabetical order."""
        target = parse_object(prefix)
        listed = await self._request(
            "list_objects_v2",
            target,
            lambda: self._client.list_objects_v2(Bucket=target.bucket, Prefix=target.key),
        )
        return [f"s3://{target.bucket}/{found['Key']}" for found in listed.get("Contents", [])]

    async def write_once(self, uri: str, data: bytes) -> bool:
        """Create the object; False when one is there already, maybe by a try of ours whose answer was lost."""
        target = parse_object(uri)
        try:
            await patiently(
                lambda: self._request(
                    "put_object",
                    target,
                    lambda: self._client.put_object(Bucket=target.bucket, Key=target.key, Body=data, IfNoneMatch="*"),
                )
            )
        except ObjectExistsError:
            return False
        except UnsupportedError as error:
            return await self._write_unconditionally(target, data, error)
        return True

    async def _write_unconditionally(self, target: S3Uri, data: bytes, why: UnsupportedError) -> bool:
        """Look first, write, and read back: what two writers at once leave is one whole object, and one hears False."""
        self._tell_unconditional(why)
        if await self._is_there(target):
            return False
        await patiently(
            lambda: self._request(
                "put_object",
                target,
                lambda: self._client.put_object(Bucket=target.bucket, Key=target.key, Body=data),
            )
        )
        return await self._size(target) == len(data) and await self.read(str(target), len(data)) == data

    def _tell_unconditional(self, why: UnsupportedError) -> None:
        if not self._told_unconditional:
            self._told_unconditional = True
            logger.warning("{}; objects are written without conditions, looked for before and read back", why)

    async def upload(self, uri: str, chunks: AsyncIterator[bytes]) -> None:
        """Create the object from a stream; nothing is left behind when that fails.

        ObjectExistsError when an object is there already: before anything is read from *chunks* if it was there at
        the beginning. Memory holds some eight parts, whatever the size.
        """
        target = parse_object(uri)
        if await self._is_there(target):
            raise exists(uri)
        async with aclosing(regroup(chunks, PART_BYTES)) as parts:
            first = await anext(parts, b"")
            if len(first) == PART_BYTES:
                await self._upload_parts(target, first, parts)
            elif not await self.write_once(uri, first):
                raise exists(uri)

    async def download(self, uri: str) -> AsyncGenerator[bytes, None]:
        """The object's bytes in chunks of PART_BYTES; PermanentError when it is missing or forbidden.

        The next chunk is fetched while one is worked on.
        """
        target = parse_object(uri)
        size = await self._size(target)

        async def starts() -> AsyncIterator[int]:
            for start in range(0, size, PART_BYTES):
                yield start

        async with aclosing(in_order(partial(self._fetch_part, target), starts(), at_once=2)) as parts:
            async for part in parts:
                yield part

    async def _fetch_part(self, target: S3Uri, start: int) -> bytes:
        def get() -> bytes:
            response = self._client.get_object(
                Bucket=target.bucket, Key=target.key, Range=f"bytes={start}-{start + PART_BYTES - 1}"
            )
            with closing(response["Body"]) as body:
                return self._drain(body, target)

        return await patiently(lambda: self._request("get_object", target, get))

    def _drain(self, body: "StreamingBody", target: S3Uri) -> bytes:
        """Read *body* to its end; the socket's timeout bounds each wait for bytes, this all of them together."""
        deadline = time.monotonic() + self._timeout
        pieces = []
        for piece in body.iter_chunks(_PIECE_BYTES):
            pieces.append(piece)
            if time.monotonic() > deadline:
                raise TemporaryError(STORE_UNAVAILABLE, f"{self._endpoint} sends {target} too slowly")
        return b"".join(pieces)

    async def _upload_parts(self, target: S3Uri, first: bytes, others: AsyncIterator[bytes]) -> None:
        await self._abort_leftovers(target)
        try:
            upload_id = await self._request(
                "create_multipart_upload",
                target,
                lambda: self._client.create_multipart_upload(Bucket=target.bucket, Key=target.key, **self._checksummed)[
                    "UploadId"
                ],
            )
        except asyncio.CancelledError:
            with suppress(ServiceError):  # it may have begun, under an id that nobody was told
                await self._abort_leftovers(target)
            raise

        async def numbered() -> AsyncIterator[tuple[int, bytes]]:
            number = 1
            yield number, first
            async for part in others:
                number += 1
                yield number, part

        send = partial(self._send_part, target, upload_id)
        try:
            async with aclosing(in_order(send, numbered(), at_once=PARTS_AT_ONCE)) as sent:
                completed = [part async for part in sent]
            try:
                await self._complete(target, upload_id, completed, {"IfNoneMatch": "*"})
            except UnsupportedError as error:
                self._tell_unconditional(error)
                if await self._is_there(target):
                    raise exists(str(target)) from None
                await self._complete(target, upload_id, completed, {})
        except BaseException:  # a cancelled upload, too, leaves no parts behind
            with suppress(ServiceError):  # what went wrong first is what to report; the next upload aborts this one
                await self._abort(target, upload_id)
            raise

    async def _complete(
        self,
        target: S3Uri,
        upload_id: str,
        parts: "list[CompletedPartTypeDef]",
        condition: "_Condition",
    ) -> None:
        await patiently(
            lambda: self._request(
                "complete_multipart_upload",
                target,
                lambda: self._client.complete_multipart_upload(
                    Bucket=target.bucket,
                    Key=target.key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": parts},
                    **condition,
                ),
            )
        )

    async def _send_part(self, target: S3Uri, upload_id: str, part: tuple[int, bytes]) -> "CompletedPartTypeDef":
        number, data = part

        def send() -> "CompletedPartTypeDef":
            sent = self._client.upload_part(
                Bucket=target.bucket,
                Key=target.key,
                UploadId=upload_id,
                PartNumber=number,
                Body=data,
                **self._checksummed,
            )
            completed: CompletedPartTypeDef = {"PartNumber": number, "ETag": sent["ETag"]}
            if "ChecksumCRC32" in sent:
                completed["ChecksumCRC32"] = sent["ChecksumCRC32"]
            return completed

        return await patiently(lambda: self._request("upload_part", target, send))

    async def uploads(self, prefix: str, begun_before: datetime) -> list[Upload]:
        """The multipart uploads to objects that begin with *prefix*, begun before then; a thousand at most."""
        return [one for one in await self._uploads(parse_object(prefix)) if one.begun_at < begun_before]

    async def end_uploads(self, prefix: str, begun_before: datetime) -> int:
        """End these; how many there were."""
        found = await self.uploads(prefix, begun_before)
        for upload in found:
            await self._abort(parse_object(upload.uri), upload.id)
        return len(found)

    async def _uploads(self, prefix: S3Uri) -> list[Upload]:
        listed = await self._request(
            "list_multipart_uploads",
            prefix,
            lambda: self._client.list_multipart_uploads(Bucket=prefix.bucket, Prefix=prefix.key),
        )
        return [
            Upload(f"s3://{prefix.bucket}/{one['Key']}", one["UploadId"], one.get("Initiated", _UNKNOWN))
            for one in listed.get("Uploads", [])
        ]

    async def _abort_leftovers(self, target: S3Uri) -> None:
        """Abort what uploads of this object left behind when their process was killed."""
        try:
            for upload in await self._uploads(target):
                if upload.uri == str(target):
                    await self._abort(target, upload.id)
        except PermanentError:
            return  # not allowed to list or to abort: a lifecycle rule of the bucket has to clean up

    async def _abort(self, target: S3Uri, upload_id: str) -> None:
        await self._request(
            "abort_multipart_upload",
            target,
            lambda: self._client.abort_multipart_upload(Bucket=target.bucket, Key=target.key, UploadId=upload_id),
        )

    async def _is_there(self, target: S3Uri) -> bool:
        try:
            await self._size(target)
        except ObjectMissingError:
            return False
        return True

    async def _size(self, target: S3Uri) -> int:
        """The object's size in bytes. The answer to HEAD has no words: of a refusal they are asked for by GET."""
        bucket, key = target.bucket, target.key
        try:
            return await self._request(
                "head_object", target, lambda: self._client.head_object(Bucket=bucket, Key=key)["ContentLength"]
            )
        except (ObjectMissingError, TemporaryError):
            raise
        except PermanentError:

            def get() -> None:
                self._client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()

            await self._request("get_object", target, get)
            raise

    async def _request(self, operation: str, target: S3Uri, request: Callable[[], T]) -> T:
        """Run *request* on a thread; its errors come as the service's own."""
        with self._observe(operation):
            try:
                return await in_thread(self._pool, request)
            except Exception as error:
                raise translate(error, operation, str(target), self._endpoint) from error


def parse_object(uri: str) -> S3Uri:
    """The address of an object, or of a prefix; PermanentError when *uri* is neither."""
    try:
        target = S3Uri.parse(uri)
    except ValueError:
        target = None
    if target is None or not target.key:
        raise PermanentError("S3UriInvalid", f"{uri!r} is not of the form s3://bucket/key; correct it")
    return target
