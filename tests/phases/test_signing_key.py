"""The signing key: every way in which it can be wrong, and that it is never seen."""

import io
import json
import pickle
import traceback

import pytest
from loguru import logger

from node_fsm.chain import bech32
from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.core.model import NodeRow
from node_fsm.steps.signing_key import fetch_signing_key
from tests.support.fake_jcli import FakeJcli, new_secret, public_key
from tests.support.memory_store import S3_AWAY, MemoryStore

URI = "s3://keys/leader0"
KEY = new_secret("leader 0")
TEXT = KEY.reveal()
SEED = bech32.decode(TEXT)[1]
NODE = NodeRow("leader0", public_key(KEY), None)


async def fetch(data: bytes, node: NodeRow = NODE, jcli: FakeJcli | None = None) -> object:
    return await fetch_signing_key(MemoryStore({URI: data}), jcli or FakeJcli(), URI, node)


@pytest.mark.parametrize("around", ["{}", "{}\n", " {}\r\n", "\n\n{}\n\n"])
async def test_a_key_is_taken_with_or_without_white_space_around_it(around: str) -> None:
    assert await fetch(around.format(TEXT).encode()) == KEY


MALFORMED = {
    "empty": b"",
    "white space": b" \n",
    "two lines": f"{TEXT}\n{TEXT}\n".encode(),
    "a comment": f"# the key\n{TEXT}\n".encode(),
    "a second word": f"{TEXT} leader0".encode(),
    "quoted": f'"{TEXT}"'.encode(),
    "in JSON": json.dumps({"key": TEXT}).encode(),
    "a public key": public_key(KEY).encode(),
    "an extended key": bech32.encode("ed25519e_sk", SEED * 2).encode(),
    "another kind of bech32": bech32.encode("ristretto255_membersk", SEED).encode(),
    "hex": SEED.hex().encode(),
    "binary": SEED,
    "not ASCII": f"{TEXT}\N{NO-BREAK SPACE}x".encode(),
    "UTF-16": TEXT.encode("utf-16"),
    "with a byte order mark": f"\N{ZERO WIDTH NO-BREAK SPACE}{TEXT}".encode(),
    "without its data": b"ed25519_sk1",
    "a wrong checksum": f"{TEXT[:-1]}{'q' if TEXT[-1] != 'q' else 'p'}".encode(),
    "cut short": TEXT[:-5].encode(),
    "another prefix before it": f"x{TEXT}".encode(),
}


@pytest.mark.parametrize("what", list(MALFORMED))
async def test_what_is_not_one_key_is_refused(what: str, log: io.StringIO) -> None:
    with pytest.raises(PermanentError) as refusal:
        await fetch(MALFORMED[what])
    assert refusal.value.reason == "KeyMalformed"
    assert URI in refusal.value.message
    assert "NODE_FSM_SIGNING_KEY_S3_URI" in refusal.value.message
    assert_unseen(refusal.value, log, MALFORMED[what].decode("latin-1"))


async def test_an_object_that_is_far_too_large_is_not_a_key() -> None:
    with pytest.raises(PermanentError, match="S3ObjectTooLarge"):
        await fetch(TEXT.encode() * 100)


async def test_another_nodes_key_is_refused(log: io.StringIO) -> None:
    other = NodeRow("leader1", public_key(new_secret("leader 1")), None)
    with pytest.raises(PermanentError) as refusal:
        await fetch(TEXT.encode(), other)
    assert refusal.value.reason == "KeyNotThisNodes"
    assert all(text in refusal.value.message for text in ("leader1", str(other.leader_id), public_key(KEY), URI))
    assert_unseen(refusal.value, log, TEXT)


async def test_a_node_without_leader_id_has_no_key() -> None:
    with pytest.raises(PermanentError, match="KeyNotThisNodes"):
        await fetch(TEXT.encode(), NodeRow("leader0", None, None))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermanentError("CommandFailed", "jcli key to-public ended with code 1: Invalid key"), "KeyMalformed"),
        (PermanentError("CommandNotExecutable", "jcli cannot be started"), "CommandNotExecutable"),
        (TemporaryError("CommandTimeout", "jcli did not end"), "CommandTimeout"),
    ],
)
async def test_a_failing_jcli_is_told_from_a_wrong_key(error: ServiceError, reason: str, log: io.StringIO) -> None:
    with pytest.raises(ServiceError) as failure:
        await fetch(TEXT.encode(), jcli=FakeJcli({"public_key": error}))
    assert failure.value.reason == reason
    assert error.message in failure.value.message
    assert_unseen(failure.value, log, TEXT)


async def test_s3_that_is_away_is_not_a_wrong_key() -> None:
    with pytest.raises(TemporaryError, match="S3Unavailable"):
        await fetch_signing_key(MemoryStore(failure=S3_AWAY), FakeJcli(), URI, NODE)


async def test_the_key_that_was_fetched_prints_as_asterisks(log: io.StringIO) -> None:
    key = await fetch(TEXT.encode())
    logger.info("{} {!r} {}", key, key, {"key": key})
    assert all(TEXT not in text for text in (str(key), repr(key), f"{key}", repr([key]), log.getvalue()))
    with pytest.raises(TypeError):
        pickle.dumps(key)


def assert_unseen(error: ServiceError, log: io.StringIO, text: str) -> None:
    """Neither *text* nor the key is in the error, what it was raised from, its traceback, or in the log of it."""
    logger.opt(exception=error).error("{} {!r}", error, error)
    seen = [str(error), repr(error), repr(error.__dict__), *traceback.format_exception(error), log.getvalue()]
    for secret in {text.strip(), TEXT, SEED.hex(), *text.split()} - {"", "the", "key", "#", "leader0", '{"key":'}:
        if len(secret) > len("ed25519_sk1"):
            assert not any(secret in place for place in seen), f"{secret} is seen"
