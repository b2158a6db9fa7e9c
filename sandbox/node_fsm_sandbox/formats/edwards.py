"""The group of curve25519 in its Edwards form: what ed25519 signatures and encrypted votes are computed in.

Written by hand, because a command starts anew each time: PyNaCl has no ristretto255, importing rbcl, which has, alone
takes seven times as long as starting Python, and in bytes, as both take points, a discrete logarithm takes twice as
long as here. PyNaCl for the signatures alone would cost more in its import than it saves.

Nothing here runs in constant time, which would be unfit for keys of value: it is for stand-ins and their throw-away
keys.

A point is (X, Y, Z, T) with x = X/Z, y = Y/Z and x * y = T/Z; two such tuples may be the same point.
"""

from collections.abc import Sequence

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the base point: scalars count modulo this."""

D = -121665 * pow(121666, -1, PRIME) % PRIME
SQRT_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)

Point = tuple[int, int, int, int]

Place = tuple[int, int]
"""A point's own x and y."""

IDENTITY: Point = (0, 1, 1, 0)

_D2 = 2 * D % PRIME
_WINDOW_BITS = 4
_POINT_BYTES = 32


def add(left: Point, right: Point) -> Point:
    """The sum of two points."""
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a = (y1 - x1) * (y2 - x2) % PRIME
    b = (y1 + x1) * (y2 + x2) % PRIME
    c = t1 * _D2 % PRIME * t2 % PRIME
    d = 2 * z1 * z2 % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def double(point: Point) -> Point:
    """*point* added to itself."""
    x, y, z, _ = point
    a = x * x % PRIME
    b = y * y % PRIME
    h = a + b
    e = h - (x + y) * (x + y) % PRIME
    g = a - b
    f = 2 * z * z % PRIME + g
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def negate(point: Point) -> Point:
    """The point that adds up to the identity with *point*."""
    x, y, z, t = point
    return PRIME - x, y, z, PRIME - t


def multiply(scalar: int, point: Point) -> Point:
    """*scalar* times *point*; the point must be of the base point's group, where scalars count modulo ORDER."""
    scalar %= ORDER
    multiples = [IDENTITY]
    for _ in range((1 << _WINDOW_BITS) - 1):
        multiples.append(add(multiples[-1], point))
    result = IDENTITY
    for shift in range((scalar.bit_length() - 1) // _WINDOW_BITS * _WINDOW_BITS, -1, -_WINDOW_BITS):
        for _ in range(_WINDOW_BITS):
            result = double(result)
        result = add(result, multiples[scalar >> shift & (1 << _WINDOW_BITS) - 1])
    return result


def square_root_of_ratio(numerator: int, denominator: int) -> tuple[bool, int]:
    """Whether numerator / denominator is a square, and its even root: that of the ratio, or of sqrt(-1) times it."""
    cubed = denominator * denominator % PRIME * denominator % PRIME
    root = numerator * cubed * pow(numerator * cubed * cubed * denominator % PRIME, (PRIME - 5) // 8, PRIME) % PRIME
    check = denominator * root * root % PRIME
    is_square = check in (numerator % PRIME, -numerator % PRIME)
    if check in (-numerator % PRIME, -numerator * SQRT_MINUS_ONE % PRIME):
        root = root * SQRT_MINUS_ONE % PRIME
    return is_square, PRIME - root if root & 1 else root


def compress(point: Point) -> bytes:
    """The 32 bytes of a point in ed25519: y, and in the highest bit whether x is odd."""
    x, y, z, _ = point
    inverse = pow(z, -1, PRIME)
    return (y * inverse % PRIME | (x * inverse % PRIME & 1) << 255).to_bytes(_POINT_BYTES, "little")


def affine(points: Sequence[Point]) -> list[Place]:
    """The x and y of each of *points*, at the price of one inversion for all."""
    products = [1]
    for _, _, z, _ in points:
        products.append(products[-1] * z % PRIME)
    inverse = pow(products.pop(), -1, PRIME)
    places = []
    for (x, y, z, _), product in zip(reversed(points), reversed(products), strict=True):
        z_inverse = inverse * product % PRIME
        places.append((x * z_inverse % PRIME, y * z_inverse % PRIME))
        inverse = inverse * z % PRIME
    return places[::-1]


def _base_point() -> Point:
    y = 4 * pow(5, -1, PRIME) % PRIME
    _, x = square_root_of_ratio(y * y - 1, D * y * y + 1)
    return x, y, 1, x * y % PRIME


BASE = _base_point()
