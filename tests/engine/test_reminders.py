"""What is wrong stands in the log for as long as it is."""

import asyncio
import io
from pathlib import Path

from node_fsm.core.conditions import ConditionType
from node_fsm.engine.reminders import REMINDER_SECONDS
from tests.engine.world import World


def told(log: io.StringIO) -> list[str]:
    return [line for line in log.getvalue().splitlines() if line.startswith("condition port_unusable")]


async def test_a_condition_is_logged_again_while_it_holds_and_not_afterwards(tmp_path: Path, log: io.StringIO) -> None:
    world = World(tmp_path, early=10_000_000.0)
    async with world.running():
        await world.looks()
        world.ctx.conditions.raise_(ConditionType.PORT_UNUSABLE, "PortTaken", "free it")
        since = world.clock.now().isoformat(timespec="seconds")
        await asyncio.sleep(12 * REMINDER_SECONDS)
        first, *reminders = told(log)
        assert first == "condition port_unusable (PortTaken): free it"
        assert set(reminders) == {f"condition port_unusable (PortTaken) holds since {since}: free it"}
        assert 9 <= len(reminders) <= 12

        world.ctx.conditions.clear(ConditionType.PORT_UNUSABLE)
        await asyncio.sleep(3 * REMINDER_SECONDS)
        assert told(log)[1 + len(reminders) :] == ["condition port_unusable is over"]


async def test_what_has_just_changed_is_not_repeated_at_once(tmp_path: Path, log: io.StringIO) -> None:
    world = World(tmp_path, early=10_000_000.0)
    async with world.running():
        for number in range(4):
            world.ctx.conditions.raise_(ConditionType.PORT_UNUSABLE, "PortTaken", f"free it {number}")
            await asyncio.sleep(0.6 * REMINDER_SECONDS)
    assert told(log) == [f"condition port_unusable (PortTaken): free it {number}" for number in range(4)]
