"""How a node starts, refuses to start, and ends: exit codes, what it says, and its log."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

from node_fsm.chain import bech32
from tests.contract.binaries import Binaries
from tests.contract.chains import Chain, make_chain
from tests.contract.nodes import Node, finished, until
from tests.support.polling import HANGING

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOG = {"level": "info", "format": "json", "output": "stdout"}
HASH_OPTION = "--genesis-block-hash <block-0-hash>"
CONFIG_ERROR = "Error in the overall configuration of the node"
SECRET_ERROR = "Error while loading the node's secrets."
BOOTSTRAP_ERROR = "Error while loading the blockchain from the network"
WRONG_CONTENT = "invalid structure: Inconsistent block content hash in header: block "


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return await make_chain(binaries.jcli, tmp_path_factory.mktemp("chain"))


@dataclass
class Start:
    """What a node is started with; a test spoils it."""

    chain: Chain
    directory: Path
    config: dict[str, Any]
    arguments: list[str]

    def secret(self, text: str) -> None:
        file = self.directory / "secret.yaml"
        file.write_text(text)
        self.arguments += ["--secret", str(file)]

    def block0(self, data: bytes) -> None:
        file = self.directory / "block0.bin"
        file.write_bytes(data)
        self.arguments = ["--genesis-block", str(file)]

    def config_text(self) -> str:
        return json.dumps(self.config)


@pytest.fixture
def start(chain: Chain, tmp_path: Path) -> Start:
    config = {
        "log": LOG,
        "skip_bootstrap": True,
        "rest": {"listen": f"{LOOPBACK}:{free_port()}"},
        "storage": str(tmp_path / "storage"),
    }
    return Start(chain, tmp_path, config, ["--genesis-block", str(chain.block0)])


def no_block0(start: Start) -> None:
    start.arguments = []


def missing_block0(start: Start) -> None:
    start.arguments = ["--genesis-block", str(start.directory / "missing.bin")]


def truncated_block0(start: Start) -> None:
    start.block0(start.chain.block0.read_bytes()[:-10])


def empty_block0(start: Start) -> None:
    start.block0(b"")


def flipped_block0(start: Start) -> None:
    data = bytearray(start.chain.block0.read_bytes())
    data[-1] ^= 1
    start.block0(bytes(data))


def text_for_block0(start: Start) -> None:
    start.block0(b"blockchain_configuration: {}\n" * 20)


def other_hash(start: Start) -> None:
    start.arguments += ["--genesis-block-hash", "ff" * 32]


def no_hash(start: Start) -> None:
    start.arguments += ["--genesis-block-hash", "zz"]


def unknown_option(start: Start) -> None:
    start.arguments += ["--fast"]


def hash_without_peers(start: Start) -> None:
    start.arguments = ["--genesis-block-hash", "ff" * 32]


def no_trusted_peers(start: Start) -> None:
    del start.config["skip_bootstrap"]


def storage_in_a_file(start: Start) -> None:
    (start.directory / "storage").write_text("")


def missing_secret(start: Start) -> None:
    start.arguments += ["--secret", str(start.directory / "missing.yaml")]


def empty_secret(start: Start) -> None:
    start.secret("")


def bad_secret(start: Start) -> None:
    start.secret("bft:\n  signing_key: ed25519_sk1nonsense\n")


def extended_secret(start: Start) -> None:
    start.secret(f"bft:\n  signing_key: {bech32.encode('ed25519e_sk', bytes(64))}\n")


def text_for_secret(start: Start) -> None:
    start.secret("ed25519_sk1nonsense\n")


def unwritable_storage(start: Start) -> None:
    start.config["storage"] = "/proc/storage"


def log_without_level(start: Start) -> None:
    del start.config["log"]["level"]


REFUSALS: list[tuple[Callable[[Start], None], int, list[str]]] = [
    (unknown_option, 1, ["error: Found argument '--fast' which wasn't expected, or isn't valid in this context"]),
    (no_hash, 1, [f"error: Invalid value for '{HASH_OPTION}': invalid hex encoding for hash value"]),
    (no_block0, 2, [CONFIG_ERROR, "Cannot start the node without the information to retrieve the genesis block"]),
    (log_without_level, 2, [CONFIG_ERROR, "log: missing field `level`"]),
    (missing_block0, 3, ["I/O Error with Block0", "No such file or directory (os error 2)"]),
    (storage_in_a_file, 3, ["I/O Error with block storage", "File exists (os error 17)"]),
    (unwritable_storage, 3, ["I/O Error with block storage", "No such file or directory (os error 2)"]),
    (truncated_block0, 4, ["Parsing error on Block0", "failed to fill whole buffer"]),
    (empty_block0, 4, ["Parsing error on Block0", "failed to fill whole buffer"]),
    (flipped_block0, 4, ["Parsing error on Block0", WRONG_CONTENT]),
    (text_for_block0, 4, ["Parsing error on Block0", "unknown tag: 98"]),
    (other_hash, 7, ["Block 0 mismatch. expecting hash: " + "ff" * 32]),
    (missing_secret, 8, [SECRET_ERROR, "No such file or directory (os error 2)"]),
    (empty_secret, 8, [SECRET_ERROR, "EOF while parsing a value"]),
    (text_for_secret, 8, [SECRET_ERROR, "invalid type", "expected struct NodeSecret"]),
    (bad_secret, 8, [SECRET_ERROR, "bft.signing_key: Invalid bech32: invalid character (code=o)"]),
    (extended_secret, 8, [SECRET_ERROR, "bft.signing_key: Invalid prefix: expected ed25519_sk but was ed25519e_sk"]),
    (hash_without_peers, 9, ["Error fetching the genesis block from the network"]),
    (
        no_trusted_peers,
        10,
        [BOOTSTRAP_ERROR, "Trusted peers cannot be empty. To avoid bootstrap use `skip_bootstrap: "],
    ),
]


@pytest.mark.parametrize(("spoil", "code", "words"), REFUSALS, ids=[spoil.__name__ for spoil, _, _ in REFUSALS])
async def test_refused_start(
    binaries: Binaries, start: Start, spoil: Callable[[Start], None], code: int, words: list[str]
) -> None:
    start.config["log"] = dict(LOG)
    spoil(start)
    config = start.directory / "config.yaml"
    config.write_text(start.config_text())
    end = await finished(binaries, "--config", config, *start.arguments)
    assert (end.code, [word for word in words if word not in end.stderr]) == (code, []), end
    assert end.stderr.startswith(words[0])


CONFIGS = {
    "not: [closed": ["while parsing a flow sequence, expected ',' or ']' at line "],
    "": ["EOF while parsing a value"],
    "explorer: true": ["unknown field `explorer`"],
    "rest: {listen: '127.0.0.1:1', port: 1}": ["rest: unknown field `port`"],
    "rest: {listen: 'localhost:1'}": ["rest.listen: invalid socket address syntax"],
    "p2p: {port: 1}": ["p2p: unknown field `port`"],
    "p2p: {trusted_peers: [{id: x}]}": ["p2p.trusted_peers[0].id: Invalid bech32: invalid length"],
    "p2p: {trusted_peers: [{address: x}]}": ["p2p.trusted_peers[0].address: invalid multiaddr"],
    "p2p: {policy: {}}": ["p2p.policy: missing field `quarantine_duration`"],
    "p2p: {layers: {rings: 1}}": ["p2p.layers: unknown field `rings`"],
    "p2p: {gossip_interval: 2}": ["p2p.gossip_interval: time unit needed"],
    "mempool: {size: 1}": ["mempool: unknown field `size`"],
    "leadership: {}": ["leadership: missing field `logs_capacity`"],
    "log: {level: loud}": ["unknown variant `loud`"],
    "log: {level: info, output: nowhere}": ["log.output: unknown variant `nowhere`"],
    "skip_bootstrap: yes": ['skip_bootstrap: invalid type: string "yes", expected a boolean'],
    "p2p: {node_key_file: missing}": ["No such file or directory (os error 2)"],
}


@pytest.mark.parametrize("text", CONFIGS)
async def test_refused_config(binaries: Binaries, start: Start, text: str) -> None:
    config = start.directory / "config.yaml"
    quiet = "" if not text or text.startswith("log:") else f"log: {json.dumps(LOG)}\n"
    config.write_text(quiet + text)
    end = await finished(binaries, "--config", config, *start.arguments)
    words = [CONFIG_ERROR, *CONFIGS[text]]
    assert (end.code, [word for word in words if word not in end.stderr]) == (2, []), end


async def test_missing_config(binaries: Binaries, start: Start) -> None:
    end = await finished(binaries, "--config", start.directory / "missing.yaml", *start.arguments)
    assert end.code == 2
    assert "Cannot read the node configuration file: No such file or directory (os error 2)" in end.stderr


async def test_node_key_must_not_end_in_a_newline(binaries: Binaries, start: Start) -> None:
    key = start.directory / "node.key"
    secret = start.chain.leaders[0].secret.reveal()
    key.write_text(f"{secret}\n")
    start.config["p2p"] = {"node_key_file": str(key)}
    config = start.directory / "config.yaml"
    config.write_text(start.config_text())
    end = await finished(binaries, "--config", config, *start.arguments)
    assert end.code == 2
    assert end.stderr == (
        f"{CONFIG_ERROR}\n |-> cannot deserialize node key from file\n"
        " |-> Failed to parse bech32, invalid data format\n |-> invalid character (code=\n)\n"
    )
    assert secret not in end.stderr + end.stdout
    key.write_text(secret)
    end = await finished(binaries, "--config", config, *start.arguments, "--storage-check")
    assert end.code == 0, end


async def test_start_before_the_chain_begins(binaries: Binaries, start: Start, tmp_path: Path) -> None:
    later = await make_chain(binaries.jcli, tmp_path, age=-100)
    config = start.directory / "config.yaml"
    config.write_text(start.config_text())
    for arguments in ([], ["--secret", "/dev/stdin"]):
        secret = f"bft:\n  signing_key: {later.leaders[0].secret.reveal()}\n".encode()
        end = await finished(binaries, "--config", config, "--genesis-block", later.block0, *arguments, stdin=secret)
        assert end.code == 12, end
        assert "TooEarlyForTimeFrame" in "".join(end.stderr.splitlines()[:3])


async def test_busy_rest_port(binaries: Binaries, start: Start) -> None:
    host, _, port = start.config["rest"]["listen"].partition(":")
    config = start.directory / "config.yaml"
    config.write_text(start.config_text())
    async with await asyncio.start_server(lambda _, writer: writer.close(), host, int(port)):
        end = await finished(binaries, "--config", config, *start.arguments)
    assert end.code == 12, end
    reason = f"error binding to {host}:{port}: error creating server listener: Address already in use (os error 98)"
    assert reason in "".join(end.stderr.splitlines()[:3])


async def test_busy_p2p_port_is_only_logged(binaries: Binaries, chain: Chain, tmp_path: Path) -> None:
    node = Node(binaries, chain, tmp_path / "node")
    async with await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, node.p2p_port):
        await node.start()
        await node.height(1)
    assert await node.stop() == 0
    errors = [line for line in map(json.loads, node.log.read_text().splitlines()) if line["level"] == "ERROR"]
    assert str(node.p2p_port) in errors[0]["fields"]["message"]


async def test_storage_belongs_to_one_process(binaries: Binaries, chain: Chain, tmp_path: Path) -> None:
    node = Node(binaries, chain, tmp_path / "node")
    await node.start()
    await node.running()
    rival = replace(node, rest_port=free_port(), p2p_port=free_port(), directory=tmp_path / "rival")
    rival.overrides = {"storage": str(node.directory / "storage")}
    end = await finished(binaries, "--config", rival.config(), "--genesis-block", chain.block0)
    assert end.code == 5, end
    assert "could not acquire lock on" in end.stderr
    assert await node.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it_in_order(
    binaries: Binaries, chain: Chain, tmp_path: Path, number: signal.Signals
) -> None:
    node = Node(binaries, chain, tmp_path / "node")
    await node.start()
    await node.running()
    assert await node.stop(number) == 0
    assert not (node.directory / "stderr.log").read_text()
    records = [json.loads(line) for line in node.log.read_text().splitlines()]
    assert {frozenset(record) for record in records} == {frozenset({"timestamp", "level", "fields", "target"})}
    messages = [record["fields"]["message"] for record in records]
    assert messages[0].startswith("Starting jormungandr 0.13.0 (")
    assert messages[-1] == "Shutting down node"


async def test_nobody_reads_its_log_any_more(binaries: Binaries, chain: Chain, tmp_path: Path) -> None:
    node = Node(binaries, chain, tmp_path / "node", leader=None)
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(binaries.jormungandr, "--config", node.config(), "--genesis-block", chain.block0), stdout=writer
    )
    os.close(writer)
    node.process = process
    await node.running()
    os.close(reader)
    for _ in range(5):
        assert (await node.get("v0/tip")).status_code == 200
    assert await node.stop() == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_rest_ends_it(binaries: Binaries, chain: Chain, tmp_path: Path, method: str) -> None:
    node = Node(binaries, chain, tmp_path / "node")
    await node.start()
    await node.running()
    answer = await node.request(method, "v0/shutdown")
    assert (answer.status_code, answer.content) == (200, b"")
    assert node.process is not None
    async with asyncio.timeout(HANGING):
        assert await node.process.wait() == 0


async def test_versions(binaries: Binaries) -> None:
    short, full = [await finished(binaries, option) for option in ("--version", "--full-version")]
    assert (short.code, short.stdout) == (0, "jormungandr 0.13.0\n")
    assert full.code == 0
    assert full.stdout.startswith("jormungandr 0.13.0 (")
    assert ("sandbox" in full.stdout) == binaries.sandbox


async def test_a_key_that_leads_no_chain_mints_nothing(binaries: Binaries, chain: Chain, tmp_path: Path) -> None:
    other = await make_chain(binaries.jcli, tmp_path)
    node = Node(binaries, replace(chain, leaders=other.leaders), tmp_path / "node")
    await node.start()
    await node.running()

    async def warned() -> bool | None:
        return "not listed among consensus leaders" in " ".join(node.log.read_text().split()) or None

    await until(warned)
    assert await node.stop() == 0
    records = map(json.loads, node.log.read_text().splitlines())
    assert not [record for record in records if "updating current branch tip" in record["fields"]["message"]]


async def test_storage_takes_another_chain_and_no_longer_the_one_before(
    binaries: Binaries, chain: Chain, tmp_path: Path
) -> None:
    node = Node(binaries, chain, tmp_path / "node")
    await node.start()
    first = await node.height(1)
    assert await node.stop() == 0
    other = await make_chain(binaries.jcli, tmp_path, age=3)
    second = await replace(node, chain=other, process=None).start()
    assert (await second.height(1)).tip != first.tip
    assert await second.stop() == 0
    end = await finished(binaries, "--config", node.config(), "--genesis-block", chain.block0)
    assert end.code == 6, end
    assert "cannot iterate between the 2 given blocks" in end.stderr
