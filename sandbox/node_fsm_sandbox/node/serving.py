"""Giving blocks to other nodes."""

from node_fsm_sandbox.node.chain import Chain
from node_fsm_sandbox.node.wire import Connection, Frame, Kind, ProtocolError


async def serve_blocks(connection: Connection, frame: Frame, chain: Chain) -> None:
    """Answer a request for the tip or for blocks; ProtocolError when *frame* is none."""
    match frame.kind:
        case Kind.ASK_TIP:
            connection.send_ids(Kind.ANNOUNCE, [chain.tip.id])
        case Kind.ASK_BLOCK:
            wanted = frame.ids()[0]
            if wanted in chain:
                connection.send(Kind.BLOCK, chain.raw(wanted))
            else:
                connection.send(Kind.END)
        case Kind.ASK_BLOCKS:
            heights = [height for block_id in frame.ids() if (height := chain.height_of(block_id)) is not None]
            # Who is on another chain is shown this one, and sees that it is not theirs.
            height = heights[0] if heights else 0
            while height < chain.tip.height:
                height += 1
                connection.send(Kind.BLOCK, chain.raw(chain.at(height).id))
                await connection.drain()
            connection.send(Kind.END)
        case _:
            raise ProtocolError(f"{frame.kind.name} out of turn")
