"""A program that owns a node: it starts the pickled launch in its argument, prints the node's pid, and waits.

The signing key is a line on standard input, empty for none.
"""

import asyncio
import pickle
import sys

from node_fsm.core.secret import Secret
from node_fsm.node.process import Launch, NodeProcess
from tests.support.polling import HANGING


async def own(launch: Launch, key: str) -> None:
    process = await NodeProcess.start(launch, Secret(key) if key else None)
    sys.stdout.write(f"{process.pid}\n")
    sys.stdout.flush()
    await process.wait()


async def start_owner(launch: Launch, key: str = "") -> tuple[asyncio.subprocess.Process, int]:
    """Run this program; the program and its node's pid."""
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.node.owner", pickle.dumps(launch).hex()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdin
    assert owner.stdout
    owner.stdin.write(f"{key}\n".encode())
    return owner, int(await asyncio.wait_for(owner.stdout.readline(), HANGING))


if __name__ == "__main__":
    asyncio.run(own(pickle.loads(bytes.fromhex(sys.argv[1])), sys.stdin.readline().strip()))  # noqa: S301 - our own
