"""What Prometheus reads of a service's process."""

from random import Random

from node_fsm_sandbox.election.draw import draw_voters
from node_fsm_sandbox.election.service_process import ServiceProcess

from tests.monitoring.promtool import needs_promtool, promtool
from tests.monitoring.recording import recording
from tests.monitoring.series import Series, scraped
from tests.system.conftest import Operator, draw, shown, until


async def scrape(operator: Operator) -> str:
    """What ``/metrics`` answers once the service knows of an election to come."""
    async with shown(
        ServiceProcess("leader0", operator.environment, operator.directory / "service.log", operator.directory)
    ) as service:
        await operator.add_leader0()
        operator.import_election(draw("first", draw_voters(Random(1), 4), lead=600, voting=60, tallying=60))
        await service.start()

        async def knows() -> bool:
            state = await service.state()
            return state is not None and "node_fsm_election_timestamp_seconds{" in await service.metrics()

        await until(knows)
        return await service.metrics()


def kinds(series: set[Series]) -> set[tuple[str, tuple[str, ...]]]:
    """The names of our metrics with those of their labels."""
    return {
        (name, tuple(label for label, _ in labels if label not in {"job", "instance"}))
        for name, labels in series
        if name.startswith("node_fsm_") and not name.endswith("_bucket")
    }


@needs_promtool
async def test_promtool_finds_no_fault_and_the_tests_know_all_of_it(waiting_operator: Operator) -> None:
    text = await scrape(waiting_operator)
    assert not promtool("check", "metrics", stdin=text)
    assert kinds({*scraped(text)}) <= kinds({*recording()}), "record anew: python -m tests.monitoring.record"
