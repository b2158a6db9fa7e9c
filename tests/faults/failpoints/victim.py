"""A service that fails at one place after the other, and is started again each time."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from node_fsm_sandbox.election.cluster import Member
from node_fsm_sandbox.failpoints.armed import SETTING, Action

from tests.faults.failpoints.world import POLL_SECONDS, World
from tests.support.polling import HANGING

KILLED = 128 + 9
_REACHED = re.compile(rb"^failpoint (\S+): \w+$", re.MULTILINE)

BLOCKING = ("workspace.", "node.require:", "node.restart:")
"""What hangs on a thread, whose end the service waits for, or altogether: only SIGKILL ends it in time."""

AT_THE_END = "database.release_lease:"
"""What only a service does that was asked to stop."""


@dataclass
class Victim:
    """The service of *hostname* fails at *places* by *action*; *reached* are those at which it did, in that order."""

    hostname: str
    action: Action
    places: Sequence[str] = ()
    reached: list[str] = field(default_factory=list)
    _read: int = 0

    @property
    def left(self) -> list[str]:
        """The places that the service has not come to yet."""
        return [place for place in self.places if place not in self.reached]

    async def fail_everywhere(self, world: World) -> None:
        """Start the service again and again, until it has failed at all places or never will; it runs on return.

        AssertionError says what it did that it must not do.
        """
        member = world.member(self.hostname)
        standing = world.standing.get(self.hostname, [])
        while self.left:
            await _start(member, [*standing, *(f"{place}={self.action}" for place in self.left)])
            failed = await self._failed(world, member)
            if failed is None or (self.action is Action.ERROR and not self.left):
                return
            await self._end(world, member, failed)
        await _start(member, standing)

    async def _failed(self, world: World, member: Member) -> list[str] | None:
        """Wait until the service fails, and with ``error`` until it has everywhere: where it did.

        Nowhere where only a stop is left to fail at; None when the election is over before.
        """
        ended = asyncio.create_task(member.service.ended())
        failed: list[str] = []
        try:
            while True:
                failed += self._look(member)
                to_come = [place for place in self.left if not place.startswith(AT_THE_END)]
                if not to_come or (failed and self.action is not Action.ERROR):
                    return failed
                assert not ended.done(), f"the service of {self.hostname} ended by itself with {ended.result()}"
                if await world.is_over_for(member):
                    return None
                await asyncio.wait({ended}, timeout=POLL_SECONDS)
        finally:
            ended.cancel()

    async def _end(self, world: World, member: Member, failed: Sequence[str]) -> None:
        """See that the service ends as it must, or end it; nothing of it is left on return."""
        service = member.service
        failed = [*failed, *self._look(member)]  # more than one place may be come to at a time
        if failed and self.action in {Action.KILL, Action.TERM}:
            async with asyncio.timeout(HANGING):
                await service.ended()
        elif self.action is Action.HANG and any(place.startswith(BLOCKING) for place in failed):
            await service.kill()
            return
        elif self.action is Action.HANG and failed:
            await service.heartbeat()
        else:
            await world.answers(member)
        code = await service.stop()
        failed = [*failed, *self._look(member)]  # none, if it had no lease yet that it could give up
        expected = KILLED if self.action is Action.KILL and failed else 0
        assert code == expected, f"the service of {self.hostname} ended with {code} after {failed or 'it was asked to'}"

    def _look(self, member: Member) -> list[str]:
        """The places that the service says it failed at since this was last asked."""
        with member.service.log.open("rb") as log:
            log.seek(self._read)
            said = log.read().rpartition(b"\n")[0]
        self._read += len(said)
        new = [place for place in map(bytes.decode, _REACHED.findall(said)) if place in self.places]
        self.reached += new
        return new


async def _start(member: Member, failpoints: Sequence[str]) -> None:
    member.service.settings[SETTING] = ",".join(failpoints)
    await member.service.start()
