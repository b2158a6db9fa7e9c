"""One election that hypothesis disturbs step by step, so that a history that breaks a promise comes out short."""

from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.simulation.cluster import living
from tests.simulation.disturbance import Disturbance, Kind
from tests.simulation.history import SCENARIOS, differences, undisturbed
from tests.simulation.network import DATABASE, S3
from tests.simulation.scenario import Scenario

NOT_HERE = {Kind.DISK_LOST, Kind.DATABASE_RESTORED}
"""These are drawn only as far as a person need not mend what they destroy, which depends on the rest of a history."""

STEP_SECONDS = 600


class History(RuleBasedStateMachine):
    """A cluster to which one thing happens after the other, while its elections are held."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()

    @initialize(seed=st.integers(0, SCENARIOS - 1))
    def begin(self, seed: int) -> None:
        self.scenario = Scenario.draw(seed)
        self.undisturbed = undisturbed(seed)
        self.cluster, self.loop = self._stack.enter_context(living(self.scenario, (), seed))

    @rule(
        after=st.integers(0, STEP_SECONDS),
        seconds=st.integers(1, 60),
        kind=st.sampled_from([kind for kind in Kind if kind not in NOT_HERE]),
        host=st.integers(0, 9),
        other=st.integers(0, 9),
        strength=st.integers(0, 10),
    )
    def disturb(self, after: int, seconds: int, kind: Kind, host: int, other: int, strength: int) -> None:
        """Some time later something happens."""
        hosts = self.scenario.hosts
        name = hosts[host % len(hosts)]
        others = [place for place in (*hosts, DATABASE, S3) if place != name]
        one = Disturbance(0, seconds, kind, name, others[other % len(others)], strength / 10)
        self.loop.run_until_complete(self._disturb(after, one))

    async def _disturb(self, after: int, one: Disturbance) -> None:
        until = self.cluster.clock.monotonic() + after
        while self.cluster.clock.monotonic() < until:
            await self.cluster.tick()
        self.cluster.disturb(one)

    def teardown(self) -> None:
        """Then nothing disturbs it any more, and it ends as it would have."""
        with self._stack:
            if hasattr(self, "cluster"):
                self.loop.run_until_complete(self.cluster.finish())
                assert differences(self.cluster, self.undisturbed) == []


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=12, stateful_step_count=8, deadline=None)
