"""Ristretto255 (RFC 9496): the group of prime order in which votes are encrypted, as bytes on the chain."""

import os
from collections.abc import Iterable
from hashlib import blake2b

from node_fsm_sandbox.formats.edwards import (
    IDENTITY,
    ORDER,
    PRIME,
    SQRT_MINUS_ONE,
    D,
    Point,
    add,
    square_root_of_ratio,
)

ELEMENT_SIZE = 32
SCALAR_SIZE = 32

_, _INVERSE_ROOT_A_MINUS_D = square_root_of_ratio(1, -1 - D)


def encode(point: Point) -> bytes:
    """The 32 bytes of the element that *point* stands for."""
    x, y, z, t = point
    u1 = (z + y) * (z - y) % PRIME
    u2 = x * y % PRIME
    _, inverse_root = square_root_of_ratio(1, u1 * u2 % PRIME * u2)
    denominator1 = inverse_root * u1 % PRIME
    denominator = inverse_root * u2 % PRIME
    z_inverse = denominator1 * denominator % PRIME * t % PRIME
    if t * z_inverse % PRIME & 1:
        x, y = y * SQRT_MINUS_ONE % PRIME, x * SQRT_MINUS_ONE % PRIME
        denominator = denominator1 * _INVERSE_ROOT_A_MINUS_D % PRIME
    if x * z_inverse % PRIME & 1:
        y = -y
    return _even(denominator * (z - y) % PRIME).to_bytes(ELEMENT_SIZE, "little")


def decode(data: bytes) -> Point:
    """A point that stands for the element of these 32 bytes; ValueError when they are those of none."""
    s = int.from_bytes(data, "little")
    if len(data) != ELEMENT_SIZE or s >= PRIME or s & 1:
        raise ValueError("not the bytes of a ristretto255 element")
    u1 = 1 - s * s
    u2 = 1 + s * s
    v = -(D * u1 * u1) - u2 * u2
    is_square, inverse_root = square_root_of_ratio(1, v * u2 * u2 % PRIME)
    denominator_x = inverse_root * u2 % PRIME
    x = _even(2 * s * denominator_x % PRIME)
    y = u1 * inverse_root * denominator_x * v % PRIME
    t = x * y % PRIME
    if not is_square or t & 1 or y == 0:
        raise ValueError("not the bytes of a ristretto255 element")
    return x, y, 1, t


def total(points: Iterable[Point]) -> Point:
    """The sum of *points*."""
    result = IDENTITY
    for point in points:
        result = add(result, point)
    return result


def random_scalar() -> int:
    """A scalar that nobody knows."""
    return wide_scalar(os.urandom(2 * SCALAR_SIZE))


def wide_scalar(data: bytes) -> int:
    """The scalar that 64 random or hashed bytes are reduced to."""
    return int.from_bytes(data, "little") % ORDER


def read_scalar(data: bytes) -> int:
    """The scalar of these 32 bytes; ValueError when it is out of range."""
    scalar = int.from_bytes(data, "little")
    if len(data) != SCALAR_SIZE or scalar >= ORDER:
        raise ValueError("not the bytes of a ristretto255 scalar")
    return scalar


def write_scalar(scalar: int) -> bytes:
    """The 32 bytes of *scalar*."""
    return scalar.to_bytes(SCALAR_SIZE, "little")


def hash_to_scalar(*parts: bytes) -> int:
    """The scalar that the concatenated *parts* are hashed to."""
    return wide_scalar(blake2b(b"".join(parts)).digest())


def _even(number: int) -> int:
    return PRIME - number if number & 1 else number
