"""What is told of the service: by the sidecar, and in the database."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.core.view import Decision
from node_fsm.engine.reporter import QUIET_SECONDS, REPORT_SECONDS
from node_fsm.ports import Problem, ProcessPhase
from node_fsm.steps.context import Context
from node_fsm.storage.workspace import ChainDirectory
from tests.engine.world import Voting, World
from tests.support.fakes import START, block0, election, overview

SANDBOX = (ConditionType.SANDBOX, "SandboxBinaries", "stand-ins")


def hold(world: Voting) -> None:
    """Blocks of the chain are on this machine's disk."""
    chain = ChainDirectory(world.ctx.chain().path)
    chain.storage.mkdir(parents=True)
    chain.mark_held()


async def test_the_node_is_ready_when_it_runs_and_otherwise_its_problem_is_told(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        status = world.engine.board.status
        assert status().unready == ()
        assert (status().election, status().block0_hash) == ("first", block0().hash)
        world.node.tells(phase=ProcessPhase.STARTING)
        assert status().unready == ("the node is not running yet",)
        world.node.tells(problem=Problem("NodePanicked", "look at the log"))
        assert status().unready == ("look at the log",)


async def test_a_node_that_does_not_run_has_no_height_and_no_tip(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        hold(world)
        world.node.tells(height=7, tip="ee" * 32)
        report = world.engine.board.report
        assert (report().height, report().tip, report().tip_date) == (7, "ee" * 32, "0.5")
        assert report().holds_chain
        world.node.tells(phase=ProcessPhase.BOOTSTRAPPING)
        assert (report().height, report().tip, report().tip_date) == (None, None, None)
        assert not report().holds_chain, "what a node that does not run has is not known"


async def test_another_chain_is_not_the_one_that_is_held(tmp_path: Path) -> None:
    world = Voting(tmp_path)
    async with world.voting():
        hold(world)
        world.node.tells(block0_hash="cd" * 32)
        assert not world.engine.board.report().holds_chain


async def test_a_disk_that_cannot_be_read_is_not_claimed_to_hold_the_chain(tmp_path: Path) -> None:
    world = Voting(tmp_path)

    def refuse(_: ChainDirectory) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    async with world.voting():
        hold(world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ChainDirectory, "is_held", property(refuse))
            assert not world.engine.board.report().holds_chain
        assert world.engine.board.report().holds_chain


async def test_a_new_tip_a_new_condition_and_a_row_without_the_address_are_reported_soon(
    due: Callable[..., World],
) -> None:
    """At most a few seconds later: without them the next report is a minute away."""
    world = due()
    world.database.answer = overview(election(), nodes=(NodeRow("leader0", None, ""),))
    async with world.running(), world.reporting():
        await asyncio.sleep(QUIET_SECONDS / 2)  # in the middle of the silence between two reports
        changes: list[Callable[[], None]] = [
            lambda: world.node.tells(tip="ee" * 32),
            lambda: world.ctx.conditions.raise_(*SANDBOX),
            lambda: setattr(world.database, "answer", overview(election(), nodes=(NodeRow("leader0", None, "old"),))),
        ]
        for change in changes:
            before = len(world.database.reports)
            change()
            await world.rereads()
            await asyncio.sleep(REPORT_SECONDS + 1)
            assert len(world.database.reports) == before + 1
            await asyncio.sleep(QUIET_SECONDS / 2)
            world.database.answer = overview(election(), nodes=(NodeRow("leader0", None, ""),))


async def test_the_state_tells_when_the_phase_began_and_why_its_task_failed(due: Callable[..., World]) -> None:
    async def fetch(_: Context) -> Decision:
        raise TemporaryError("S3Unavailable", "no answer")

    world = due(early=5, fetching_key=fetch)
    async with world.running():
        await world.until(lambda: world.condition("work_failing") is not None)
        status = world.engine.board.status()
        assert status.last_error == "S3Unavailable: no answer"
        assert 0 <= (status.since - START).total_seconds() < 1
