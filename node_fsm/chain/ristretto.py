"""Ristretto255 (RFC 9496), the group in which private votes are encrypted, computed by libsodium.

Points and scalars are their 32 canonical bytes. Nothing secret is computed here.

The library comes in the package rbcl. Imported, rbcl writes it to a file in the temporary directory, leaves that
behind, and fails where nothing in there may be executed, as in a container's ``/tmp``; it takes longer than all that
is computed with it afterwards. So the library is read from the package and loaded from memory.
"""

import ctypes
import os
import re
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile

_SIZE = 32
POINT_SIZE = _SIZE
SCALAR_SIZE = _SIZE
ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the group: scalars count modulo this."""

IDENTITY = bytes(POINT_SIZE)
BASE = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")

_PACKAGE = "rbcl"
_MODULE = "_sodium.py"
_Element = ctypes.c_char * _SIZE
_EMBEDDED = re.compile(rb"bytes\.fromhex\('([0-9a-f]+)'\)")


def is_point(data: bytes) -> bool:
    """Whether these are the bytes of a point."""
    return len(data) == POINT_SIZE and _libsodium().crypto_core_ristretto255_is_valid_point(data) == 1


def is_scalar(data: bytes) -> bool:
    """Whether these are the bytes of a scalar."""
    return len(data) == SCALAR_SIZE and int.from_bytes(data, "little") < ORDER


def scalar(number: int) -> bytes:
    """The bytes of *number*, which is not negative, as a scalar."""
    return (number % ORDER).to_bytes(SCALAR_SIZE, "little")


def add(left: bytes, right: bytes) -> bytes:
    """The sum of two points; ValueError when one is none."""
    return _combined("add", left, right)


def subtract(left: bytes, right: bytes) -> bytes:
    """The difference of two points; ValueError when one is none."""
    return _combined("sub", left, right)


def total(points: Iterable[bytes]) -> bytes:
    """The sum of *points*; ValueError when one is none."""
    result = IDENTITY
    for point in points:
        result = add(result, point)
    return result


def multiply(factor: bytes, point: bytes) -> bytes:
    """The scalar *factor* times *point*; ValueError when it is no point."""
    _require_sizes(factor, point)
    result = _Element()
    if _libsodium().crypto_scalarmult_ristretto255(result, factor, point):  # no point, or the identity comes of it
        _require_point(point)
        return IDENTITY
    return result.raw


def multiply_base(factor: bytes) -> bytes:
    """The scalar *factor* times the base point."""
    _require_sizes(factor)
    result = _Element()
    if _libsodium().crypto_scalarmult_ristretto255_base(result, factor):
        return IDENTITY
    return result.raw


def hash_to_scalar(*parts: bytes) -> bytes:
    """The scalar that the concatenated *parts* are hashed to."""
    return scalar(int.from_bytes(blake2b(b"".join(parts)).digest(), "little"))


def _combined(operation: str, left: bytes, right: bytes) -> bytes:
    _require_sizes(left, right)
    result = _Element()
    if _libsodium()[f"crypto_core_ristretto255_{operation}"](result, left, right):
        _require_point(left)
        _require_point(right)
    return result.raw


def _require_point(data: bytes) -> None:
    if not is_point(data):
        raise ValueError("not the bytes of a ristretto255 point")


def _require_sizes(*elements: bytes) -> None:
    """The library reads that many bytes, whether they are there or not."""
    for element in elements:
        if len(element) != _SIZE:
            raise ValueError(f"a ristretto255 point or scalar has {_SIZE} bytes, not {len(element)}")


@cache
def _libsodium() -> ctypes.CDLL:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {_PACKAGE} is not installed", name=_PACKAGE)
    embedded = _EMBEDDED.search((Path(spec.origin).parent / _MODULE).read_bytes())
    if embedded is None:
        raise ImportError(f"{_PACKAGE}/{_MODULE} does not hold libsodium where it is expected", name=_PACKAGE)
    library = _loaded(bytes.fromhex(embedded[1].decode()))
    if library.sodium_init() < 0:
        raise ImportError("libsodium cannot be initialised", name=_PACKAGE)
    return library


def _loaded(content: bytes) -> ctypes.CDLL:
    """A shared library, from memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("libsodium", os.MFD_CLOEXEC), "wb") as file:
            file.write(content)
            file.flush()
            return ctypes.CDLL(f"/proc/self/fd/{file.fileno()}")
    with NamedTemporaryFile(suffix=".so") as named:
        named.write(content)
        named.flush()
        return ctypes.CDLL(named.name)
