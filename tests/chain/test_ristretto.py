"""The group of the encrypted votes, held against the stand-ins' own arithmetic and against RFC 9496."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from node_fsm_sandbox.formats import edwards
from node_fsm_sandbox.formats import ristretto as by_hand

from node_fsm.chain import ristretto

# RFC 9496, A.2: not canonical, negative, not a square, and more.
INVALID = [
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def test_it_computes_what_is_computed_by_hand() -> None:
    for _ in range(20):
        number, secret = by_hand.random_scalar(), by_hand.random_scalar()
        point = edwards.multiply(secret, edwards.BASE)
        encoded, factor = by_hand.encode(point), ristretto.scalar(number)
        multiple = edwards.multiply(number, point)
        assert ristretto.multiply_base(ristretto.scalar(secret)) == encoded
        assert ristretto.multiply(factor, encoded) == by_hand.encode(multiple)
        assert ristretto.add(encoded, by_hand.encode(multiple)) == by_hand.encode(edwards.add(point, multiple))
        assert ristretto.subtract(encoded, by_hand.encode(multiple)) == by_hand.encode(
            edwards.add(point, edwards.negate(multiple))
        )
        assert ristretto.hash_to_scalar(encoded, factor) == by_hand.write_scalar(
            by_hand.hash_to_scalar(encoded, factor)
        )


def test_what_comes_to_nothing_is_the_identity() -> None:
    zero, one = ristretto.scalar(0), ristretto.scalar(1)
    assert ristretto.multiply(zero, ristretto.BASE) == ristretto.IDENTITY
    assert ristretto.multiply_base(zero) == ristretto.IDENTITY
    assert ristretto.multiply(one, ristretto.IDENTITY) == ristretto.IDENTITY
    assert ristretto.subtract(ristretto.BASE, ristretto.BASE) == ristretto.IDENTITY
    assert ristretto.total([]) == ristretto.IDENTITY
    assert ristretto.is_point(ristretto.IDENTITY)
    assert ristretto.multiply_base(one) == ristretto.BASE


@pytest.mark.parametrize("invalid", [*map(bytes.fromhex, INVALID), b"", bytes(31), bytes(33)])
def test_what_is_no_point_is_refused(invalid: bytes) -> None:
    one = ristretto.scalar(1)
    assert not ristretto.is_point(invalid)
    computations: list[Callable[[], bytes]] = [
        lambda: ristretto.multiply(one, invalid),
        lambda: ristretto.add(invalid, ristretto.BASE),
        lambda: ristretto.add(ristretto.BASE, invalid),
        lambda: ristretto.subtract(ristretto.BASE, invalid),
        lambda: ristretto.total([ristretto.BASE, invalid]),
    ]
    for compute in computations:
        with pytest.raises(ValueError, match="ristretto255 point"):
            compute()


@pytest.mark.parametrize("factor", [b"", bytes(31), bytes(33)])
def test_a_factor_of_another_size_is_refused(factor: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ristretto.multiply_base(factor)
    with pytest.raises(ValueError, match="32 bytes"):
        ristretto.multiply(factor, ristretto.BASE)


def test_scalars_are_canonical() -> None:
    assert ristretto.is_scalar(ristretto.scalar(ristretto.ORDER - 1))
    assert not ristretto.is_scalar(ristretto.ORDER.to_bytes(32, "little"))
    assert not ristretto.is_scalar(bytes(31))


def test_the_library_leaves_no_file_behind(tmp_path: Path) -> None:
    code = "from node_fsm.chain import ristretto as r; print(r.is_point(r.BASE))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, check=True
    )
    assert done.stdout == b"True\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the library is loaded from a file on this system")
def test_the_library_needs_no_file_at_all() -> None:
    code = "import tempfile; tempfile.tempdir = '/not/there'; import node_fsm.chain.ristretto as r; r.is_point(r.BASE)"
    subprocess.run([sys.executable, "-c", code], check=True)
