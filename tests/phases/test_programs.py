"""What a service says of its programs before any election begins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError
from node_fsm.steps.versions import RECHECK_SECONDS, ask_versions, watch_programs
from tests.phases.world import World


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(watch_programs(world.ctx, retry_seconds=30))
    yield
    assert not task.done()
    task.cancel()


async def test_stand_ins_are_never_taken_for_the_real_programs(world: World) -> None:
    world.jcli.full_version = "jcli 0.13.0 (sandbox)"
    async with watching(world):
        await world.until(lambda: world.condition(ConditionType.SANDBOX) == "SandboxBinaries", 1)
        assert "jcli 0.13.0 (sandbox)" in world.message(ConditionType.SANDBOX)
        assert world.condition(ConditionType.PROGRAM_UNUSABLE) is None
        world.jcli.full_version = "jcli 0.13.0 (master-35d73ea50+, release)"
        await world.until(lambda: world.condition(ConditionType.SANDBOX) is None, RECHECK_SECONDS + 1)


async def test_a_missing_program_is_said_at_once_and_looked_for_again(world: World) -> None:
    world.jcli.failures["version"] = PermanentError("CommandNotExecutable", "NODE_FSM_JCLI_PATH=jcli cannot be run")
    async with watching(world):
        await world.until(lambda: world.condition(ConditionType.PROGRAM_UNUSABLE) == "CommandNotExecutable", 1)
        del world.jcli.failures["version"]
        await world.until(lambda: world.condition(ConditionType.PROGRAM_UNUSABLE) is None, 31)
        calls = world.jcli.calls["version"]
        await asyncio.sleep(RECHECK_SECONDS / 2)
        assert world.jcli.calls["version"] == calls
        assert world.condition(ConditionType.SANDBOX) is None


async def test_what_another_step_found_out_is_looked_at_again_as_soon(world: World) -> None:
    async with watching(world):
        await world.until(lambda: world.jcli.calls["version"] == 1, 1)
        world.jcli.failures["version"] = PermanentError("DescriptorsExhausted", "no file can be opened")
        await ask_versions(world.ctx)  # as Archiving does
        assert world.condition(ConditionType.PROGRAM_UNUSABLE) == "DescriptorsExhausted"
        del world.jcli.failures["version"]
        await world.until(lambda: world.condition(ConditionType.PROGRAM_UNUSABLE) is None, 61)


async def test_what_nobody_foresaw_of_a_program_ends_nothing(world: World) -> None:
    world.jcli.failures["version"] = RuntimeError("unforeseen")
    async with watching(world):
        await world.until(lambda: world.condition(ConditionType.PROGRAM_UNUSABLE) == "UnexpectedError", 1)
        del world.jcli.failures["version"]
        await world.until(lambda: world.condition(ConditionType.PROGRAM_UNUSABLE) is None, 31)


async def test_the_versions_are_metrics(world: World) -> None:
    versions = {"jcli_version": "jcli of the tests", "jormungandr_version": "node of the tests"}
    async with watching(world):
        await world.until(
            lambda: bool(
                world.ctx.metrics.registry.get_sample_value(
                    "node_fsm_build_info", {"role": "leader0", "version": "0"} | versions
                )
            ),
            1,
        )
