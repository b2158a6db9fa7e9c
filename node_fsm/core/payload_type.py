"""Whether votes are readable."""

from enum import StrEnum


class PayloadType(StrEnum):
    """Whether a vote's choice is readable on the chain."""

    PUBLIC = "public"
    PRIVATE = "private"
