"""Who waits for whom, and who begins alone: the supervisor keeps a node from making a chain of its own."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from node_fsm.core.secret import Secret
from node_fsm.node.limits import NodeLimits
from node_fsm.node.supervisor import NodeSupervisor
from node_fsm.ports import ChainRun, ProcessPhase
from tests.node.conftest import KEY, OTHERS, QUICK
from tests.node.fake_node import FakeNode
from tests.support.polling import HANGING, eventually


async def test_a_node_that_loads_its_chain_for_long_says_so(
    supervise: Callable[[NodeLimits], Awaitable[NodeSupervisor]], chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor = await supervise(replace(QUICK, bootstrap=1.0))
    fake_node.behave(bootstrapping=True)
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.BOOTSTRAPPING)
    before = supervisor.state
    assert before.problem is None
    await eventually(lambda: supervisor.state.problem is not None)
    after = supervisor.state
    assert after.problem
    assert after.problem.reason == "NodeBootstraps"
    assert "clock_wrong" in after.problem.message
    fake_node.behave(bootstrapping=False)
    await supervisor.ready(HANGING)
    assert supervisor.state.problem is None


async def test_a_node_that_waits_for_peers_is_started_anew_with_new_ones(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    """It reads its peers once, and might wait for those of old for ever."""
    fake_node.behave(bootstrapping=True)
    supervisor.require(chain_run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.BOOTSTRAPPING)
    supervisor.require(chain_run)
    supervisor.require(replace(chain_run, peers=OTHERS))
    await eventually(lambda: len(fake_node.starts) == 2)
    fake_node.behave(bootstrapping=False)
    await supervisor.ready(HANGING)
    supervisor.require(chain_run)
    await asyncio.sleep(0.5)
    assert supervisor.state.running, "one that runs has its peers"
    assert len(fake_node.starts) == 2
    assert supervisor.state.restarts == 0, "it did not end by itself"


@pytest.mark.parametrize("key", [None, KEY], ids=["follower", "leader"])
async def test_only_the_seed_begins_without_others(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode, key: Secret | None
) -> None:
    async def secret() -> Secret | None:
        return key

    supervisor.require(replace(chain_run, secret=secret, seed=False))
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    assert supervisor.state.problem
    assert supervisor.state.problem.reason == "NodeWithoutPeers"
    assert fake_node.starts == []


async def test_a_seed_whose_store_vanished_does_not_begin_the_chain_anew(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    supervisor.require(chain_run)
    await supervisor.ready(HANGING)
    await eventually(lambda: chain_run.directory.is_held)
    assert supervisor.state.pid
    away = chain_run.directory.path / "away"
    chain_run.directory.storage.rename(away)
    chain_run.directory.storage.mkdir()  # as by a node that only waits for its peers
    os.kill(supervisor.state.pid, signal.SIGKILL)
    await eventually(lambda: bool(supervisor.state.problem and supervisor.state.problem.reason == "StorageLost"))
    starts = len(fake_node.starts)
    await asyncio.sleep(2 * QUICK.repair_delay)
    assert len(fake_node.starts) == starts
    chain_run.directory.storage.rmdir()
    away.rename(chain_run.directory.storage)
    await supervisor.ready(HANGING)


async def test_a_seed_does_not_begin_without_the_store_that_it_was_chosen_for(
    supervisor: NodeSupervisor, chain_run: ChainRun, fake_node: FakeNode
) -> None:
    """It vanished before the first start in this service's life."""
    supervisor.require(replace(chain_run, held=True))
    await eventually(lambda: bool(supervisor.state.problem and supervisor.state.problem.reason == "StorageLost"))
    assert fake_node.starts == []
