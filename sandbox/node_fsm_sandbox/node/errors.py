"""What ends the node, and what keeps a fragment or a block off the chain."""

import os
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with."""

    DONE = 0
    USAGE = 1
    CONFIGURATION = 2
    FILES = 3
    BLOCK0 = 4
    STORAGE = 5
    LEDGER = 6
    BLOCK0_MISMATCH = 7
    SECRET = 8
    BLOCK0_NOT_FOUND = 9
    BOOTSTRAP = 10
    SERVICE = 12


class NodeError(Exception):
    """The node must end with *code*; *causes* are printed below *message*, the nearest first."""

    def __init__(self, code: ExitCode, message: str, *causes: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.causes = causes

    def __str__(self) -> str:
        return "\n".join([self.message, *(f" |-> {cause}" for cause in self.causes)])


class InterruptedStartError(NodeError):
    """The node was asked to end before it ran."""

    def __init__(self) -> None:
        super().__init__(ExitCode.DONE, "Interrupted by the user")


class RejectedError(Exception):
    """The ledger does not take a fragment; the text is what the fragment's status says."""


class InvalidBlockError(Exception):
    """A block that no honest node would have made."""


def system_reason(error: OSError) -> str:
    """How the node words an error of the system."""
    assert error.errno is not None, "the system numbers its errors"
    return f"{os.strerror(error.errno)} (os error {error.errno})"
