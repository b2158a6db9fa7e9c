"""Addresses in S3."""

import re
from dataclasses import dataclass
from typing import Self

SCHEME = "s3://"
LONGEST_KEY = 1024
"""Bytes."""

_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>[^/].*)?)?")


@dataclass(frozen=True, slots=True)
class S3Uri:
    """``s3://BUCKET/KEY``; *key* is empty for the bucket itself, and may end in a slash for all that begins so."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the address of an object, a prefix or a bucket; ValueError when it is something else."""
        match = _URI.fullmatch(text)
        key = (match["key"] or "") if match else ""
        if not match or len(key.encode(errors="replace")) > LONGEST_KEY:
            raise ValueError(f"{text!r} is not of the form s3://bucket/key")
        return cls(match["bucket"], key)

    @property
    def is_object(self) -> bool:
        """Whether it names one object."""
        return bool(self.key) and not self.key.endswith("/")

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" if self.key else f"{SCHEME}{self.bucket}"
