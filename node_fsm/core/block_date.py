"""Dates on a chain, in a module of their own: what only reads or writes bytes needs no clock."""

from typing import NamedTuple, Self


class BlockDate(NamedTuple):
    """A date on the chain; compares in chain order."""

    epoch: int
    slot: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.slot}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"epoch.slot"``; ValueError when it is not that."""
        epoch, dot, slot = text.partition(".")
        if not (dot and epoch.isascii() and epoch.isdigit() and slot.isascii() and slot.isdigit()):
            raise ValueError(f"not a block date of the form epoch.slot: {text!r}")
        return cls(int(epoch), int(slot))
