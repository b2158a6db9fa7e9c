"""What a service says of its programs before any election begins."""

from node_fsm.core.errors import PermanentError
from node_fsm.programs import PROGRAM_UNUSABLE, SANDBOX
from states.waiting import Waiting
from tests.phases.world import World


async def test_stand_ins_are_never_taken_for_the_real_programs(world: World) -> None:
    world.jcli.full_version = "jcli 0.13.0 (sandbox)"
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.condition(SANDBOX) == "SandboxBinaries")
        assert "jcli 0.13.0 (sandbox)" in world.message(SANDBOX)
        assert world.condition(PROGRAM_UNUSABLE) is None
    assert failures == []
    assert SANDBOX not in Waiting.conditions, "it holds in every phase"


async def test_a_missing_program_is_said_at_once_and_looked_for_again(world: World) -> None:
    world.jcli.failures["version"] = PermanentError("CommandNotExecutable", "NODE_FSM_JCLI_PATH=jcli cannot be run")
    async with world.doing(Waiting()) as failures:
        await world.until(lambda: world.condition(PROGRAM_UNUSABLE) == "CommandNotExecutable")
        del world.jcli.failures["version"]
        await world.until(lambda: world.condition(PROGRAM_UNUSABLE) is None, 60)
        calls = world.jcli.calls["version"]
        await world.until(lambda: world.database.calls["overview"] > 100)
        assert world.jcli.calls["version"] == calls
        assert world.condition(SANDBOX) is None
    assert failures == []


async def test_the_versions_are_metrics(world: World) -> None:
    async with world.doing(Waiting()):
        await world.until(
            lambda: bool(
                world.ctx.metrics.registry.get_sample_value(
                    "node_fsm_build_info",
                    {
                        "role": "leader0",
                        "version": "0",
                        "jcli_version": "jcli of the tests",
                        "jormungandr_version": "node of the tests",
                    },
                )
            )
        )
