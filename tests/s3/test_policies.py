"""The policies of deploy/s3, on the S3 server of deploy/compose.yaml, which enforces them where it is installed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from node_fsm.core.errors import PermanentError
from node_fsm.preparation.objects import ObjectChecks
from node_fsm.s3.store import PART_BYTES, S3Store
from node_fsm.s3.trial import TrialStore
from node_fsm.settings.model import Settings, load_settings
from tests.support.polling import HANGING
from tests.support.versitygw import gateway

POLICIES = Path(__file__).parents[2] / "deploy" / "s3"
ROOT = "root"
NAMES = sorted(
    {
        name
        for policy in POLICIES.glob("*.json")
        for statement in json.loads(policy.read_text())["Statement"]
        for name in statement["Principal"]["AWS"]
    }
)
STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Server:
    """A server with the buckets and policies as they are deployed, and a credential for each name."""

    endpoint_url: str

    def client(self, name: str) -> S3Client:
        access, secret = credentials(name).values()
        return boto3.client(
            "s3", endpoint_url=self.endpoint_url, aws_access_key_id=access, aws_secret_access_key=secret
        )

    def store(self, name: str) -> S3Store:
        """S3 as the service of this name has it."""
        return S3Store(self.endpoint_url, credentials=credentials(name))

    def may(self, name: str, operation: str, **arguments: object) -> bool:
        """Whether the server does it for this name."""
        try:
            getattr(self.client(name), operation)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return False
        return True


def credentials(name: str) -> dict[str, str]:
    return {"aws_access_key_id": name, "aws_secret_access_key": f"secret of {name}"}


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of accounts, as the server keeps it."""
    directory = tmp_path_factory.mktemp("iam")
    accounts = {name: {"access": name, "secret": f"secret of {name}", "role": "user"} for name in [*NAMES, STRANGER]}
    (directory / "users.json").write_text(json.dumps({"accessAccounts": accounts}))
    return directory


@pytest.fixture(scope="module")
def server(users: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = credentials(ROOT)["aws_secret_access_key"]
    data = tmp_path_factory.mktemp("s3")
    with gateway(data, "--iam-dir", users, access=ROOT, secret=root) as endpoint_url:
        for _ in ("the first time", "again"):
            assert set_up(endpoint_url, tmp_path_factory.mktemp("secrets")) == ["archive", "keys", "members"]
        yield Server(endpoint_url)


def set_up(endpoint_url: str, directory: Path) -> list[str]:
    """Run deploy/s3/setup.py, its credentials in files; the buckets that it told of."""
    environment = {"NODE_FSM_S3_ENDPOINT_URL": endpoint_url, "PATH": os.environ["PATH"]}
    for name, value in credentials(ROOT).items():
        (directory / name).write_text(f"{value}\n")
        environment[f"{name.upper()}_FILE"] = str(directory / name)
    done = subprocess.run(
        [sys.executable, POLICIES / "setup.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return re.findall(r"^\w+", done.stdout, re.MULTILINE)


async def test_leaders_read_their_own_keys_and_an_operator_brings_them(server: Server) -> None:
    leaders = ("leader0", "leader1", "leader2")
    for name in leaders:
        assert server.may("operator", "put_object", Bucket="keys", Key=f"{name}.sk", Body=name.encode())
    for name in (*NAMES, STRANGER):
        read = {key for key in leaders if server.may(name, "get_object", Bucket="keys", Key=f"{key}.sk")}
        assert read == {name} & set(leaders), name
        assert server.may(name, "put_object", Bucket="keys", Key="another.sk", Body=b"") == (name == "operator")
        assert not server.may(name, "list_objects_v2", Bucket="keys")
        assert not server.may(name, "delete_object", Bucket="keys", Key="leader0.sk")
    store = server.store("leader1")
    try:
        assert await store.read("s3://keys/leader1.sk", 100) == b"leader1"
        with pytest.raises(PermanentError, match="AccessDenied"):
            await store.read("s3://keys/leader0.sk", 100)
    finally:
        await store.close()


async def test_leader_0_alone_reads_members_keys(server: Server) -> None:
    assert server.may("operator", "put_object", Bucket="members", Key="fund/0.sk", Body=b"member")
    for name in (*NAMES, STRANGER):
        assert server.may(name, "get_object", Bucket="members", Key="fund/0.sk") == (name == "leader0")
    store = server.store("leader0")
    try:
        assert await store.uris("s3://members/fund/") == ["s3://members/fund/0.sk"]
    finally:
        await store.close()


@pytest.mark.parametrize("name", ["leader0", "leader1", "leader2", "follower3"])
async def test_nodes_write_archives_once_and_read_them_back(server: Server, name: str) -> None:
    archive = bytes(PART_BYTES + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield archive

    store = server.store(name)
    try:
        await store.upload(f"s3://archive/elections/{name}/archive.tar.zst", chunks())
        assert await store.write_once(f"s3://archive/elections/{name}/manifest.json", b"{}")
        assert not await store.write_once(f"s3://archive/elections/{name}/manifest.json", b"other")
        assert b"".join([part async for part in store.download(f"s3://archive/elections/{name}/archive.tar.zst")]) == (
            archive
        )
        assert len(await store.uris(f"s3://archive/elections/{name}/")) == 2
    finally:
        await store.close()
    key = f"elections/{name}/manifest.json"
    for other in (*NAMES, STRANGER):
        assert server.may(other, "get_object", Bucket="archive", Key=key) == (other != STRANGER)
        assert not server.may(other, "delete_object", Bucket="archive", Key=key)
    for other in ("operator", "backup", STRANGER):
        assert not server.may(other, "put_object", Bucket="archive", Key=key, Body=b"")


async def test_a_node_ends_uploads_that_broke_off_and_an_operator_does_not(server: Server) -> None:
    server.client("leader1").create_multipart_upload(Bucket="archive", Key="elections/1/archive.tar.zst")
    operator, node = server.store("operator"), server.store("leader0")
    later = datetime.now(UTC) + timedelta(days=1)
    try:
        with pytest.raises(PermanentError, match="AccessDenied"):
            await operator.end_uploads("s3://archive/elections/1/", later)
        assert await node.end_uploads("s3://archive/elections/1/", datetime.now(UTC) - timedelta(days=1)) == 0
        assert await node.end_uploads("s3://archive/elections/1/", later) == 1
        assert await node.uploads("s3://archive/elections/1/", later) == []
    finally:
        await operator.close()
        await node.close()


def test_nobody_but_its_owner_changes_a_policy(server: Server) -> None:
    for name in (*NAMES, STRANGER):
        for bucket in ("keys", "members", "archive"):
            assert not server.may(name, "put_bucket_policy", Bucket=bucket, Policy="{}")
            assert not server.may(name, "delete_bucket", Bucket=bucket)
        assert not server.may(name, "create_bucket", Bucket=f"{name}-bucket")


async def test_the_doctor_needs_no_more_than_a_node_may(server: Server) -> None:
    """And leaves but the object that the service itself leaves, since nobody may delete."""
    settings = load_settings(
        {
            "NODE_FSM_DATABASE_URL": "postgresql://a:b@c/d",
            "NODE_FSM_ROLE": "node",
            "NODE_FSM_ARCHIVE_S3_URI": "s3://archive/doctor",
            "NODE_FSM_NODE_P2P_PUBLIC_ADDRESS": "/ip4/127.0.0.1/tcp/1",
        },
        Settings,
    )
    store = TrialStore(server.endpoint_url, credentials=credentials("follower3"))
    checks = ObjectChecks(store, settings)
    try:
        for check in (checks.write, checks.read, checks.missing, checks.multipart, checks.uploads, checks.leftovers):
            assert isinstance(await check(), str), check
        assert await store.uris("s3://archive/doctor/") == ["s3://archive/doctor/probe"]
    finally:
        await store.close()
    uploads = server.client("follower3").list_multipart_uploads(Bucket="archive")
    assert uploads.get("Uploads", []) == []
