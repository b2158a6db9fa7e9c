"""What was joined of pieces that all have one size."""

from collections.abc import Iterator


def pieces(joined: bytes, size: int) -> Iterator[bytes]:
    """The pieces of *joined*, of *size* bytes each."""
    return (joined[start : start + size] for start in range(0, len(joined), size))
