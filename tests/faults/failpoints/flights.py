"""Elections of the same inputs side by side, a flight: one is undisturbed, in the others services fail."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from pathlib import Path

from tests.contract.binaries import Binaries
from tests.faults.failpoints.cases import Case
from tests.faults.failpoints.ending import Ending
from tests.faults.failpoints.inputs import Inputs
from tests.faults.failpoints.scenarios import Scenario
from tests.faults.failpoints.victim import Victim
from tests.faults.failpoints.world import World
from tests.support.polling import HANGING
from tests.system.conftest import show_logs

MakeWorld = Callable[[str, Inputs], AbstractAsyncContextManager[World]]
"""Given a name and the inputs, a world in which no service runs yet."""

ELECTION_SECONDS = 900.0
"""After so long one hangs."""


@dataclass(frozen=True, slots=True)
class _Held:
    """An election that is held or was: its services by hostname, and the task that gives its ending."""

    victims: Mapping[str, Victim]
    task: "asyncio.Task[Ending]"


class Flights:
    """Holds the elections of *cases*: those of a flight begin together, when the first of its cases is asked for."""

    def __init__(self, cases: Iterable[Case], make_directory: Callable[[str], Path], make_world: MakeWorld) -> None:
        self._cases = tuple(cases)
        self._make_directory = make_directory
        self._make_world = make_world
        self._held: dict[str, Mapping[int, _Held]] = {}
        """By flight and number; 0 is the undisturbed one."""

    async def outcome(self, case: Case, binaries: Binaries) -> None:
        """Wait for the election of *case*, on *binaries*; AssertionError when nothing failed or it ended otherwise."""
        held = self._held.get(case.flight) or await self._begin(case.flight, binaries)
        undisturbed, disturbed = held[0], held[case.election]
        await asyncio.wait({undisturbed.task, disturbed.task})
        try:
            expected = undisturbed.task.result()
        except Exception as error:
            raise AssertionError("the undisturbed election did not end well") from error
        reached = disturbed.victims[case.hostname].reached
        assert case.place in reached, f"the service did not come to it; it failed at {reached}"
        try:
            ending = disturbed.task.result()
        except Exception as error:
            raise AssertionError(f"after failures at {reached} the election did not end: {error!r}") from error
        for field in fields(Ending):
            is_, must_be = getattr(ending, field.name), getattr(expected, field.name)
            assert is_ == must_be, f"after failures at {reached} {field.name} are\n{is_}\nand not\n{must_be}"

    async def close(self) -> None:
        """End what still runs."""
        tasks = [one.task for flight in self._held.values() for one in flight.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, flight: str, binaries: Binaries) -> Mapping[int, _Held]:
        cases = [case for case in self._cases if case.flight == flight]
        scenario = cases[0].scenario
        inputs = await scenario.inputs(binaries, self._make_directory(flight))
        held = {}
        for number in sorted({0, *(case.election for case in cases)}):
            victims = {
                part.hostname: Victim(
                    part.hostname,
                    cases[0].action,
                    [one.place for one in cases if (one.election, one.hostname) == (number, part.hostname)],
                )
                for part in inputs.parts
            }
            work = self._hold(f"{flight}-{number}", scenario, inputs, victims)
            held[number] = _Held(victims, asyncio.create_task(work))
        self._held[flight] = held
        return held

    async def _hold(self, name: str, scenario: Scenario, inputs: Inputs, victims: Mapping[str, Victim]) -> Ending:
        async with self._make_world(name, inputs) as world:
            try:
                async with asyncio.timeout(ELECTION_SECONDS), asyncio.TaskGroup() as beside:
                    beside.create_task(scenario.happens(world))
                    for victim in victims.values():
                        beside.create_task(victim.fail_everywhere(world))
                    beside.create_task(world.over())
                async with asyncio.timeout(HANGING):
                    return await Ending.of(world)
            except BaseException:
                for victim in victims.values():
                    print(f"==== {name}, {victim.hostname}: failed at {victim.reached}, not at {victim.left} ====")
                show_logs(member.service for member in world.cluster.members)
                raise
