"""Clusters on hosts of their own, on the real node only."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from node_fsm_sandbox.election.outside import Outside
from node_fsm_sandbox.servers.postgres import EmbeddedPostgres
from node_fsm_sandbox.servers.s3 import EmbeddedS3

from tests.contract.binaries import Binaries
from tests.netns.split_cluster import SplitCluster
from tests.support.bucket import Bucket
from tests.support.hosts import Hosts, hosts
from tests.support.proxy import FaultyProxy
from tests.system.conftest import show_logs


@pytest.fixture
def networks() -> Iterator[Hosts]:
    with hosts() as made:
        yield made


@pytest.fixture
def real_binaries(real_jcli: str, real_jormungandr: str) -> Binaries:
    return Binaries(sandbox=False, jcli=Path(real_jcli), jormungandr=Path(real_jormungandr))


@pytest_asyncio.fixture
async def cluster(
    networks: Hosts,
    real_binaries: Binaries,
    tmp_path: Path,
    database_url: str,
    postgres_server: EmbeddedPostgres,
    s3_bucket: Bucket,
    s3_server: EmbeddedS3,
) -> AsyncIterator[SplitCluster]:
    """A cluster without members yet. Its servers, which listen on loopback alone, are passed on by the gateway."""
    gateway = networks.gateway
    with FaultyProxy(postgres_server.port, gateway) as postgres, FaultyProxy(s3_server.port, gateway) as s3:
        outside = Outside(
            database_url.replace(f"127.0.0.1:{postgres_server.port}", f"{gateway}:{postgres.port}"),
            f"http://{gateway}:{s3.port}",
            s3_bucket.name,
        )
        made = SplitCluster(networks, real_binaries, tmp_path, outside)
        try:
            yield made
        finally:
            await made.close()
            show_logs(member.service for member in made.members.values())
