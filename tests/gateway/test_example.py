"""The example of docs/clients.md, as it is written there, on a chain with a public and a private plan."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.binaries import Binaries
from tests.contract.chains import Chain, Plan, Wallet, make_chain
from tests.contract.nodes import Node
from tests.contract.test_node_private import Committee
from tests.gateway.nginx import Gateway, gateway_before
from tests.support.polling import HANGING

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
EXAMPLE = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
PROGRAMS = ("bash", "curl", "jq", "xxd")
PRIVATE, PUBLIC = 2, 1
"""How many proposals the plan has, of which the last is voted on: its external id is in no other plan."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(binaries: Binaries, voters: dict[int, Wallet], tmp_path_factory: pytest.TempPathFactory) -> Chain:
    directory = tmp_path_factory.mktemp("chain")
    committee = await Committee.make(binaries.jcli, directory)
    plans = {
        "public": Plan(proposals=PUBLIC),
        "private": Plan(proposals=PRIVATE, member_keys=tuple(committee.member_keys)),
    }
    return await make_chain(binaries.jcli, directory, voters=[*voters.values()], plans=plans, age=3)


@pytest.fixture(scope="module")
def voters() -> dict[int, Wallet]:
    return {PUBLIC: Wallet(), PRIVATE: Wallet()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(binaries: Binaries, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    node = Node(binaries, chain, tmp_path_factory.mktemp("node"))
    await node.start()
    await node.running()
    yield node
    await node.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(node: Node) -> AsyncIterator[Gateway]:
    async with gateway_before(node.rest_port) as gateway:
        yield gateway


@pytest.mark.parametrize("proposals", [PUBLIC, PRIVATE], ids=["public", "private"])
async def test_the_example_brings_a_vote_into_a_block(
    binaries: Binaries, gateway: Gateway, chain: Chain, voters: dict[int, Wallet], proposals: int, tmp_path: Path
) -> None:
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"the example needs {' and '.join(missing)}")
    (tmp_path / "wallet.sk").write_text(f"{voters[proposals].secret.reveal()}\n")
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", EXAMPLE),
        cwd=tmp_path,
        env={
            "PATH": f"{binaries.jcli.parent}:{os.environ['PATH']}",
            "NO_PROXY": "127.0.0.1",
            "api": gateway.base_url,
            "proposal": f"{proposals - 1:064x}",
            "choice": "1",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
    )
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(), HANGING)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    said = stdout.decode()
    assert (process.returncode, stderr.decode()) == (0, ""), said
    posted, followed, counts = said.splitlines()
    assert '"rejected":[]' in posted
    assert "InABlock" in followed
    assert counts == f"[{proposals - 1}]"
    assert (tmp_path / "plan-ids").read_text().split() == list(chain.plan_ids)


async def test_the_gateway_does_not_shut_the_node_down_and_the_node_would(gateway: Gateway, node: Node) -> None:
    async with gateway.client() as client:
        for method in ("GET", "POST"):
            assert (await client.request(method, "/v0/shutdown")).status_code == 404
        for path in ("/v0/settings", "/v0/tip", "/v0/vote/active/plans", f"/v0/block/{node.chain.block0_hash}"):
            assert (await client.get(path)).status_code == 200, path
    assert await node.stats()
    assert (await node.get("v0/shutdown")).status_code == 200
    assert node.process
    assert await asyncio.wait_for(node.process.wait(), HANGING) == 0
