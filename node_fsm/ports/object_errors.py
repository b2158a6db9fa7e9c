"""The failures of an :class:`~node_fsm.ports.ObjectStore` that callers act on."""

from typing import Final

from node_fsm.core.errors import PermanentError

STORE_UNAVAILABLE: Final = "S3Unavailable"
"""The reason of a TemporaryError: the store did not answer, or could not do now what it was asked for."""


class ObjectMissingError(PermanentError):
    """There is no such object."""


class ObjectExistsError(PermanentError):
    """There is an object already, and it is not overwritten."""
