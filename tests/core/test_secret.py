"""A secret is not seen where values are usually seen."""

import copy
import pickle
import traceback
from collections.abc import Callable

import pytest

from node_fsm.core.secret import Secret

HIDDEN = "ed25519_sk1hidden"


def test_prints_as_asterisks() -> None:
    secret = Secret(HIDDEN)
    assert f"{secret} {secret!r} {[secret]} {secret!s:>5}" == "Secret(***) Secret(***) [Secret(***)] Secret(***)"
    assert secret.reveal() == HIDDEN


def test_does_not_stand_in_tracebacks() -> None:
    def fail(secret: Secret) -> None:
        raise ValueError(secret)

    with pytest.raises(ValueError, match="Secret") as failure:
        fail(Secret(HIDDEN))
    shown = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    assert HIDDEN not in "".join(shown.format())


@pytest.mark.parametrize("dump", [pickle.dumps, copy.copy])
def test_is_not_copied_by_serialisation(dump: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        dump(Secret(HIDDEN))


def test_compares_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"
