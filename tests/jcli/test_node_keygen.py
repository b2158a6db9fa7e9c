"""``node-fsm node keygen``: one command from nothing to a key in S3, and to its public half."""

import asyncio

import pytest
from typer.testing import CliRunner, Result

from node_fsm.chain.address import ed25519_public_key
from node_fsm.cli import app
from node_fsm.cli.output import ExitCode
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from tests.contract.binaries import Binaries
from tests.support.bucket import Bucket


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, binaries: Binaries, s3_bucket: Bucket) -> None:
    monkeypatch.setenv("NODE_FSM_JCLI_PATH", str(binaries.jcli))
    monkeypatch.setenv("NODE_FSM_S3_ENDPOINT_URL", s3_bucket.endpoint_url)


def keygen(uri: str) -> Result:
    return CliRunner().invoke(app, ["node", "keygen", uri])


def stored(bucket: Bucket, name: str) -> str:
    return bucket.client.get_object(Bucket=bucket.name, Key=name)["Body"].read().decode()


async def public_key_of(binaries: Binaries, secret: str) -> str:
    return await Jcli(str(binaries.jcli)).public_key(Secret(secret.strip()))


async def test_the_key_is_in_s3_and_its_public_half_is_printed(binaries: Binaries, s3_bucket: Bucket) -> None:
    made = await asyncio.to_thread(keygen, f"s3://{s3_bucket.name}/leader0.sk")
    assert made.exit_code == 0, made.output
    public = made.stdout.removesuffix("\n")
    assert ed25519_public_key(public)
    secret = stored(s3_bucket, "leader0.sk")
    assert await public_key_of(binaries, secret) == public
    assert secret.strip() not in made.output


@pytest.mark.parametrize("content", ["another key", "x" * 5000])
def test_what_is_there_is_not_overwritten(s3_bucket: Bucket, content: str) -> None:
    uri = f"s3://{s3_bucket.name}/leader0.sk"
    s3_bucket.client.put_object(Bucket=s3_bucket.name, Key="leader0.sk", Body=content.encode())
    refused = keygen(uri)
    assert (refused.exit_code, refused.stdout) == (ExitCode.PERSON, "")
    assert refused.stderr.startswith("S3ObjectExists")
    assert stored(s3_bucket, "leader0.sk") == content


@pytest.mark.parametrize("uri", ["leader0.sk", "s3://keys", "s3://keys/", "https://keys/leader0.sk"])
def test_what_names_no_object_is_refused_before_anything_is_made(uri: str) -> None:
    refused = keygen(uri)
    assert refused.exit_code == 2
    assert "s3://" in refused.stderr


def test_a_bucket_that_is_missing_is_told(s3_bucket: Bucket) -> None:
    refused = keygen("s3://no-such-bucket/leader0.sk")
    assert (refused.exit_code, refused.stdout) == (ExitCode.PERSON, "")
    assert refused.stderr.startswith("S3BucketMissing")
