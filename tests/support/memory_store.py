"""An S3 in memory, which can be made to fail."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.ports.object_errors import ObjectExistsError, ObjectMissingError

S3_AWAY = TemporaryError("S3Unavailable", "S3 does not answer")


@dataclass
class MemoryStore:
    """Objects by URI. While *failure* is set every request raises it; *failures* are raised one by one."""

    objects: dict[str, bytes] = field(default_factory=dict)
    failure: ServiceError | None = None
    failures: deque[ServiceError] = field(default_factory=deque)
    requests: list[str] = field(default_factory=list)

    async def read(self, uri: str, limit: int) -> bytes:
        self._request("read", uri)
        data = self._object(uri)
        if len(data) > limit:
            raise PermanentError("S3ObjectTooLarge", f"{uri} has {len(data)} bytes")
        return data

    async def uris(self, prefix: str) -> list[str]:
        self._request("uris", prefix)
        return sorted(uri for uri in self.objects if uri.startswith(prefix))

    async def write_once(self, uri: str, data: bytes) -> bool:
        self._request("write_once", uri)
        is_new = uri not in self.objects
        self.objects.setdefault(uri, data)
        return is_new

    async def upload(self, uri: str, chunks: AsyncIterator[bytes]) -> None:
        self._request("upload", uri)
        data = b"".join([chunk async for chunk in chunks])
        if uri in self.objects:
            raise ObjectExistsError("S3ObjectExists", f"{uri} is there already")
        self.objects[uri] = data

    async def download(self, uri: str) -> AsyncIterator[bytes]:
        self._request("download", uri)
        data = self._object(uri)
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    async def end_uploads(self, prefix: str, begun_before: datetime) -> int:
        self._request("end_uploads", prefix)
        return 0

    def _object(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise ObjectMissingError("S3ObjectMissing", f"there is no {uri}")
        return self.objects[uri]

    def _request(self, operation: str, uri: str) -> None:
        self.requests.append(f"{operation} {uri}")
        if self.failure:
            raise self.failure
        if self.failures:
            raise self.failures.popleft()
