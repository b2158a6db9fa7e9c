"""S3, as phases use it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol


class ObjectStore(Protocol):
    """S3. URIs have the form ``s3://bucket/key``."""

    async def read(self, uri: str, limit: int) -> bytes:
        """The object's bytes; PermanentError when it is missing, forbidden or larger than *limit* bytes."""
        ...

    async def uris(self, prefix: str) -> list[str]:
        """The URIs of the objects that begin with *prefix*, a thousand at most, in alphabetical order."""
        ...

    async def write_once(self, uri: str, data: bytes) -> bool:
        """Create the object; False when one is there already."""
        ...

    async def upload(self, uri: str, chunks: AsyncIterator[bytes]) -> None:
        """Stream to a multipart upload; nothing is left behind when it fails."""
        ...

    def download(self, uri: str) -> AsyncIterator[bytes]:
        """The object's bytes in chunks; PermanentError when it is missing or forbidden."""
        ...

    async def end_uploads(self, prefix: str, begun_before: datetime) -> int:
        """End the multipart uploads to objects that begin with *prefix*, begun before then; how many there were."""
        ...
