"""Our arithmetic on the curve against libraries and published vectors."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from node_fsm_sandbox.formats import edwards, ristretto
from node_fsm_sandbox.formats.crypto import SigningKey, verify
from node_fsm_sandbox.jcli.seeds import random_bytes

SECRETS = st.binary(min_size=32, max_size=32)

# RFC 9496, appendix A.1: multiples of the base point.
MULTIPLES = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
]

# RFC 9496, appendix A.2: what encodes nothing.
NO_ELEMENTS = [
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
]


@settings(max_examples=20)
@given(SECRETS, st.binary(max_size=100))
def test_signatures_are_those_of_a_library(secret: bytes, message: bytes) -> None:
    ours, theirs = SigningKey(secret), Ed25519PrivateKey.from_private_bytes(secret)
    assert ours.public_key == theirs.public_key().public_bytes_raw()
    assert ours.sign(message) == theirs.sign(message)
    assert verify(ours.public_key, message, ours.sign(message))
    assert not verify(ours.public_key, message + b"!", ours.sign(message))


def test_an_extended_key_signs_like_any() -> None:
    key = SigningKey(bytes([8]) * 31 + b"\x48" + bytes(32))
    assert verify(key.public_key, b"message", key.sign(b"message"))


@pytest.mark.parametrize("size", [0, 31, 33, 65])
def test_no_keys(size: int) -> None:
    with pytest.raises(ValueError, match=f"not {size}$"):
        SigningKey(bytes(size))


def test_ristretto_vectors() -> None:
    points = [edwards.multiply(number, edwards.BASE) for number in range(len(MULTIPLES))]
    assert [ristretto.encode(point).hex() for point in points] == MULTIPLES
    for text in MULTIPLES:
        assert ristretto.encode(ristretto.decode(bytes.fromhex(text))).hex() == text
    for text in NO_ELEMENTS:
        with pytest.raises(ValueError, match="not the bytes of a ristretto255 element"):
            ristretto.decode(bytes.fromhex(text))


@settings(max_examples=20)
@given(st.integers(0, edwards.ORDER - 1), st.integers(0, edwards.ORDER - 1))
def test_scalars_add_up(first: int, second: int) -> None:
    total = edwards.add(edwards.multiply(first, edwards.BASE), edwards.multiply(second, edwards.BASE))
    assert ristretto.encode(total) == ristretto.encode(edwards.multiply(first + second, edwards.BASE))


def test_places_of_many_points_at_once() -> None:
    points = [edwards.multiply(number, edwards.BASE) for number in range(5)]
    places = edwards.affine(points)
    assert places == [place for point in points for place in edwards.affine([point])]
    for (x, y, z, _), (own_x, own_y) in zip(points, places, strict=True):
        assert (own_x * z - x) % edwards.PRIME == (own_y * z - y) % edwards.PRIME == 0
    assert edwards.affine([]) == []


def test_seeds_are_chacha20() -> None:
    """The keystream of RFC 8439, appendix A.1, number 1, taken in pieces."""
    random = random_bytes(bytes(32))
    assert (random(4) + random(12)).hex() == "76b8e0ada0f13d90405d6ae55386bd28"
