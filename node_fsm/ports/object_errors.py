"""The two refusals of an :class:`~node_fsm.ports.ObjectStore` that callers act on."""

from node_fsm.core.errors import PermanentError


class ObjectMissingError(PermanentError):
    """There is no such object."""


class ObjectExistsError(PermanentError):
    """There is an object already, and it is not overwritten."""
