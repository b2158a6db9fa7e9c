"""What can be wrong with chain data. All are ValueErrors that say where and what was expected."""


class ChainDataError(ValueError):
    """Chain data that cannot be accepted; ``offset`` counts bytes from where reading began."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message, offset)
        self.message = message
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.message} (at byte {self.offset})"


class MalformedError(ChainDataError):
    """The bytes at ``offset`` are not what the format has there."""


class TruncatedError(ChainDataError):
    """The stream ends inside a block that begins at ``offset``: everything before that is whole."""


class BrokenChainError(ChainDataError):
    """The block at ``offset`` does not follow the block before it."""
