"""Commands as a test runs them: in a thread, since each has an event loop of its own."""

import asyncio

from typer.testing import CliRunner, Result

from node_fsm.cli import app


async def invoke(*arguments: object, code: int = 0) -> Result:
    """Run node-fsm, which ends with *code*."""
    done = await asyncio.to_thread(CliRunner().invoke, app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done
