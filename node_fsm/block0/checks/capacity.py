"""Whether the blocks of a chain can be made in time."""

from node_fsm.block0.template import Template
from node_fsm.core.capacity import fitting_block_size


def blocks_too_large(template: Template) -> tuple[str, str] | None:
    """(reason, message) when a block may hold more votes than a node puts into one within its slot."""
    fitting = fitting_block_size(template.slot_duration)
    if template.block_content_max_size <= fitting:
        return None
    return (
        "SlotTooShort",
        (
            f"NODE_FSM_BLOCK0_TEMPLATE: blocks of {template.block_content_max_size} bytes can hold more votes than a"
            f" node puts into one within {template.slot_duration} s, and a late block loses its votes;"
            f" set block_content_max_size to {fitting} or less, or slot_duration higher"
        ),
    )
