"""What the system lacks is recognised through whatever libraries make of it."""

import errno

import pytest

from node_fsm.core.errors import as_service_error, shortage


def wrapped(error: BaseException) -> Exception:
    """*error* as libraries pass it on: once on purpose, once by the way."""
    try:
        try:
            raise error
        except BaseException as first:
            raise ValueError("no connection") from first
    except ValueError:
        try:
            raise KeyError("no answer")
        except KeyError as second:
            return second


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "DescriptorsExhausted"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ProcessesExhausted"),
        (RuntimeError("can't start new thread"), "ProcessesExhausted"),
        (MemoryError(), "MemoryExhausted"),
    ],
)
def test_a_shortage_is_found_behind_other_errors(error: Exception, reason: str) -> None:
    for seen in (error, wrapped(error)):
        found = shortage(seen, "the work")
        assert found is not None
        assert found.reason == reason
        assert found.message.startswith("the work failed, because ")
        assert as_service_error(seen, "the work").reason == reason


def test_no_other_error_is_a_shortage() -> None:
    for error in (OSError(errno.EIO, "Input/output error"), RuntimeError("no thread"), OSError("without a number")):
        assert shortage(wrapped(error), "the work") is None


def test_causes_in_a_circle_end() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert shortage(first, "the work") is None
