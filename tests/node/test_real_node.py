"""The supervisor, the leash, the REST client and the transactions with the real node."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.server import free_port

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import TemporaryError
from node_fsm.core.listen import Listen
from node_fsm.core.model import Payer, SignedFragment
from node_fsm.core.secret import Secret
from node_fsm.node.config import NodeConfig
from node_fsm.node.limits import NodeLimits, NodeSettings
from node_fsm.node.process import Launch
from node_fsm.node.rest import RECORDS
from node_fsm.node.supervisor import NodeSupervisor
from node_fsm.ports import ChainRun, ProcessPhase
from node_fsm.ports.answers import FragmentState
from node_fsm.programs.jcli import Jcli
from tests.node.conftest import supervisors
from tests.node.owner import start_owner
from tests.support.polling import HANGING, eventually
from tests.support.processes import is_running
from tests.support.small_chain import POWER, SmallChain, make_chain
from tests.support.wallet import new_wallet, public_vote

LIMITS = NodeLimits(first_delay=0.2, start_poll=0.05, shortest_poll=0.1, longest_poll=0.1)


def settings(executable: Path) -> NodeSettings:
    p2p_port = free_port()
    return NodeSettings(
        executable=str(executable),
        rest=Listen("127.0.0.1", free_port()),
        p2p=Listen("127.0.0.1", p2p_port),
        public_address=f"/ip4/127.0.0.1/tcp/{p2p_port}",
    )


@pytest_asyncio.fixture
async def supervise(real_jormungandr: Path) -> AsyncIterator[Callable[[NodeSettings], NodeSupervisor]]:
    """Makes supervisors that run until the test ends."""
    async with supervisors() as make:
        yield lambda node_settings: make(node_settings, LIMITS)


@pytest_asyncio.fixture
async def supervisor(supervise: Callable[[NodeSettings], NodeSupervisor], real_jormungandr: Path) -> NodeSupervisor:
    return supervise(settings(real_jormungandr))


@pytest_asyncio.fixture
async def chain(real_jcli: Path, tmp_path: Path) -> SmallChain:
    return await make_chain(real_jcli, tmp_path)


def height(supervisor: NodeSupervisor) -> int:
    return supervisor.state.height or 0


async def post(supervisor: NodeSupervisor, fragment: SignedFragment) -> BlockDate:
    """Post a fragment and wait until it is in a block; the block's date."""
    posted = await supervisor.api.post_fragment(fragment.raw)
    assert (posted.id, posted.reason) == (fragment.id, None)
    async with asyncio.timeout(HANGING):
        while True:
            status = (await supervisor.api.fragment_statuses([fragment.id]))[fragment.id]
            if status.state is not FragmentState.PENDING:
                break
            await asyncio.sleep(0.1)
    assert status.reason is None
    assert status.date
    return status.date


async def test_vote_and_tally_get_into_blocks(
    supervisor: NodeSupervisor, real_jcli: Path, chain: SmallChain, tmp_path: Path
) -> None:
    """Everything that an election needs of the node, in the order in which it needs it."""
    supervisor.require(chain.run(tmp_path / "node"))
    await supervisor.ready(HANGING)
    (voter,), (leader,) = chain.voters, chain.leaders
    expiry = chain.clock.expiry(supervisor.state.tip_date or BlockDate(0, 0))
    votes = [
        await public_vote(
            real_jcli,
            voter,
            plan_id=chain.plan_id,
            proposal=proposal,
            choice=2,
            block0_hash=chain.block0_hash,
            expiry=expiry,
            directory=tmp_path,
            lane=proposal,
        )
        for proposal in (0, 1)
    ]
    await post(supervisor, votes[0])
    (posted,) = await supervisor.api.post_fragments([votes[1].raw])
    assert posted.accepted
    (again,) = await supervisor.api.post_fragments([votes[1].raw])
    assert again.reason == "FragmentAlreadyInLog"
    account = await supervisor.api.account(voter.id)
    assert account
    assert account.counters[0] == 1
    assert list(account.tokens.values()) == [POWER]

    await eventually(lambda: (supervisor.state.tip_date or BlockDate(0, 0)) >= chain.vote_end)
    plan = (await supervisor.api.vote_plans())[chain.plan_id]
    assert plan.vote_end == chain.vote_end
    assert [proposal.results for proposal in plan.proposals] == [(0, 0, POWER)] * 2
    assert [proposal.votes_cast for proposal in plan.proposals] == [1, 1]
    assert await supervisor.api.account_votes(voter.id) == {chain.plan_id: (0, 1)}

    jcli = Jcli(str(real_jcli))
    tally = await jcli.transaction(
        await jcli.public_tally_certificate(chain.plan_id),
        Payer(leader.address, 0, 0, leader.secret),
        block0_hash=chain.block0_hash,
        expiry=chain.clock.expiry(supervisor.state.tip_date or BlockDate(0, 0)),
        directory=tmp_path,
        authority=leader.secret,
    )
    date = await post(supervisor, tally)
    assert date > chain.vote_end

    ids = await supervisor.api.next_ids(chain.block0_hash, 1000)
    assert ids
    blocks = [await supervisor.api.block(block_id) for block_id in ids]
    assert tally.raw in b"".join(block or b"" for block in blocks)
    assert await supervisor.api.block(chain.block0_hash) == chain.block0.read_bytes()
    assert await supervisor.api.next_ids("ff" * 32, 1) is None
    assert await supervisor.api.block("ff" * 32) is None
    assert await supervisor.api.account("ff" * 32) is None
    await supervisor.save_records(tmp_path)
    assert all((tmp_path / name).stat().st_size for name in RECORDS)
    assert tally.id in (tmp_path / "fragment-logs.json").read_text()
    assert voter.id in (tmp_path / "account-votes.json").read_text()
    assert list((tmp_path / "node" / "fragments").iterdir())


async def test_killed_node_goes_on_with_its_storage(
    supervisor: NodeSupervisor, chain: SmallChain, tmp_path: Path
) -> None:
    supervisor.require(chain.run(tmp_path / "node"))
    await supervisor.ready(HANGING)
    await eventually(lambda: height(supervisor) >= 3)
    first = await supervisor.api.next_ids(chain.block0_hash, 1)
    pid = supervisor.state.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: supervisor.state.pid != pid and supervisor.state.running)
    await eventually(lambda: height(supervisor) >= 4)
    assert supervisor.state.starts == 2
    assert await supervisor.api.next_ids(chain.block0_hash, 1) == first


async def test_version(supervisor: NodeSupervisor) -> None:
    assert (await supervisor.version()).startswith("jormungandr 0.13.")


async def test_stop_loses_no_block(supervisor: NodeSupervisor, chain: SmallChain, tmp_path: Path) -> None:
    run = chain.run(tmp_path / "node")
    supervisor.require(run)
    await supervisor.ready(HANGING)
    await eventually(lambda: height(supervisor) >= 1)
    tip = await supervisor.api.tip()
    await supervisor.stop()
    supervisor.require(run)
    await supervisor.ready(HANGING)
    assert await supervisor.api.block(tip)


async def test_owner_killed_node_is_asked_to_end_and_loses_no_block(
    supervise: Callable[[NodeSettings], NodeSupervisor], real_jormungandr: Path, chain: SmallChain, tmp_path: Path
) -> None:
    run, fixed = chain.run(tmp_path / "node"), settings(real_jormungandr)
    directory = run.directory
    config = NodeConfig(fixed.rest, fixed.p2p, fixed.public_address, directory.storage, directory.fragments, 1)
    launch = Launch(fixed.executable, config, directory.node_config, directory.block0, chain.block0_hash, 10.0)
    owner, pid = await start_owner(launch, chain.leaders[0].secret.reveal())
    supervisor = supervise(fixed)
    tip = await newest_block(supervisor, chain)
    owner.kill()
    await owner.wait()
    await eventually(lambda: not is_running(pid))
    supervisor.require(run)
    await supervisor.ready(HANGING)
    assert await supervisor.api.block(tip)


async def newest_block(supervisor: NodeSupervisor, chain: SmallChain) -> str:
    """The tip of a node that another process runs, as soon as it is beyond block 0."""
    async with asyncio.timeout(HANGING):
        while True:
            try:
                tip = await supervisor.api.tip()
            except TemporaryError:
                tip = chain.block0_hash
            if tip != chain.block0_hash:
                return tip
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("listener", ["rest", "p2p"])
async def test_busy_port_is_told_and_waited_for(
    supervise: Callable[[NodeSettings], NodeSupervisor],
    real_jormungandr: Path,
    chain: SmallChain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    listener: str,
) -> None:
    monkeypatch.setattr("node_fsm.node.process._KILL_TIMEOUT", 0.0)
    fixed = replace(settings(real_jormungandr), stop_grace=1.0)
    listen: Listen = getattr(fixed, listener)
    supervisor = supervise(fixed)
    async with await asyncio.start_server(lambda _, writer: writer.close(), listen.host, listen.port):
        supervisor.require(chain.run(tmp_path / "node"))
        await eventually(lambda: supervisor.state.problem is not None)
        assert supervisor.state.problem
        assert supervisor.state.problem.reason == "PortBusy"
        assert f"NODE_FSM_NODE_{listener.upper()}_LISTEN" in supervisor.state.problem.message
    await supervisor.ready(HANGING)


async def failure(supervisor: NodeSupervisor, run: ChainRun) -> tuple[str, str]:
    supervisor.require(run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.FAILED)
    assert supervisor.state.problem
    return supervisor.state.problem


async def test_wrong_hash(supervisor: NodeSupervisor, chain: SmallChain, tmp_path: Path) -> None:
    reason, message = await failure(supervisor, replace(chain.run(tmp_path / "node"), block0_hash="ff" * 32))
    assert reason == "Block0Mismatch"
    assert f"expecting hash: {'ff' * 32}" in message


async def test_damaged_block0(supervisor: NodeSupervisor, chain: SmallChain, tmp_path: Path) -> None:
    run = chain.run(tmp_path / "node")
    run.directory.block0.write_bytes(chain.block0.read_bytes()[:-10])
    assert (await failure(supervisor, run))[0] == "Block0Unreadable"


async def test_key_of_the_wrong_kind_is_refused_and_not_repeated(
    supervisor: NodeSupervisor, real_jcli: Path, chain: SmallChain, tmp_path: Path
) -> None:
    wallet = await new_wallet(real_jcli, "ed25519extended")

    async def secret() -> Secret | None:
        return wallet.secret

    reason, message = await failure(supervisor, replace(chain.run(tmp_path / "node"), secret=secret))
    assert reason == "SigningKeyRefused"
    assert wallet.secret.reveal()[15:] not in message


async def test_missing_block0(supervisor: NodeSupervisor, chain: SmallChain, tmp_path: Path) -> None:
    run = chain.run(tmp_path / "node")
    run.directory.block0.unlink()
    assert (await failure(supervisor, run))[0] == "NodeFilesUnusable"


@pytest.mark.parametrize("peer", ["/ip4/127.0.0.1/tcp/{}", "/dns4/localhost/tcp/{}", "/ip6/::1/tcp/{}"])
async def test_follower_waits_for_its_leader(
    supervisor: NodeSupervisor, chain: SmallChain, tmp_path: Path, peer: str
) -> None:
    run = chain.run(tmp_path / "node", leader=None, peers=(peer.format(free_port()),))
    supervisor.require(run)
    await eventually(lambda: supervisor.state.phase is ProcessPhase.BOOTSTRAPPING)
    pid = supervisor.state.pid
    assert pid
    await supervisor.stop()
    assert not is_running(pid)


async def test_leaders_and_a_follower_agree(
    supervise: Callable[[NodeSettings], NodeSupervisor], real_jcli: Path, real_jormungandr: Path, tmp_path: Path
) -> None:
    chain = await make_chain(real_jcli, tmp_path, leaders=2)
    fixed = [settings(real_jormungandr) for _ in range(3)]
    first, second, follower = (supervise(each) for each in fixed)
    first.require(chain.run(tmp_path / "first", 0, (fixed[1].public_address,)))
    await first.ready(HANGING)
    second.require(chain.run(tmp_path / "second", 1, (fixed[0].public_address,)))
    follower.require(chain.run(tmp_path / "follower", None, tuple(each.public_address for each in fixed[:2])))
    await second.ready(HANGING)
    await follower.ready(HANGING)
    nodes = (first, second, follower)
    await eventually(lambda: min(map(height, nodes)) >= 4)
    shared = [await node.api.next_ids(chain.block0_hash, 3) for node in nodes]
    assert shared[0] == shared[1] == shared[2]
    assert all(node.state.peers_connected for node in nodes)
