"""What a node is started with: its configuration file and its command line."""

from pathlib import Path
from secrets import token_bytes
from typing import Any, NamedTuple, cast

from node_fsm.core.multiaddr import Multiaddr
from node_fsm_sandbox.formats.crypto import PLAIN_SIZE, SigningKey
from node_fsm_sandbox.node.address import Address, address_of, parse_multiaddr
from node_fsm_sandbox.node.arguments import Arguments
from node_fsm_sandbox.node.errors import ExitCode, NodeError, system_reason
from node_fsm_sandbox.node.key_text import PUBLIC_KEY, SIGNING_KEY, KeyTextError, read_key
from node_fsm_sandbox.node.log import Format, LogSettings
from node_fsm_sandbox.node.schema import (
    SchemaError,
    duration,
    flag,
    mapping,
    one_of,
    parsed,
    path,
    sequence,
    text,
    whole,
)
from node_fsm_sandbox.node.yaml_file import read_yaml


def _log_output(value: Any) -> str | Path:
    if isinstance(value, dict):
        return cast("Path", mapping({"file": path}, required=("file",))(value)["file"])
    return one_of("stdout", "stderr", "file")(value)


_INTEREST = one_of("low", "normal", "high")
_NODE_ID = parsed(lambda written: read_key(written, PUBLIC_KEY))
_PEER = mapping({"address": parsed(parse_multiaddr), "id": _NODE_ID}, required=("address",))
_PREFERRED = mapping({"view_max": whole, "peers": sequence(_PEER)})
_P2P = mapping(
    {
        "public_address": parsed(parse_multiaddr),
        "listen": parsed(Address.parse),
        "node_key_file": path,
        "trusted_peers": sequence(_PEER),
        "max_connections": whole,
        "max_client_connections": whole,
        "max_connections_threshold": whole,
        "allow_private_addresses": flag,
        "policy": mapping(
            {
                "quarantine_duration": duration,
                "max_quarantine": duration,
                "max_num_quarantine_records": whole,
                "quarantine_whitelist": sequence(parsed(parse_multiaddr)),
            },
            required=("quarantine_duration",),
        ),
        "layers": mapping(
            {
                "preferred_list": _PREFERRED,
                "topics_of_interest": mapping(
                    {"messages": _INTEREST, "blocks": _INTEREST}, required=("messages", "blocks")
                ),
            }
        ),
        "gossip_interval": duration,
        "network_stuck_check": duration,
        "max_bootstrap_attempts": whole,
    }
)
_CONFIG = mapping(
    {
        "secret_file": path,
        "storage": path,
        "log": mapping(
            {
                "level": one_of("off", "trace", "debug", "info", "warn", "error"),
                "format": one_of("default", "plain", "json"),
                "output": _log_output,
            },
            required=("level",),
        ),
        "mempool": mapping(
            {
                "pool_max_entries": whole,
                "log_max_entries": whole,
                "persistent_log": mapping({"dir": path}, required=("dir",)),
            }
        ),
        "leadership": mapping({"logs_capacity": whole}, required=("logs_capacity",)),
        "rest": mapping({"listen": parsed(Address.parse), "tls": dict, "cors": dict}, required=("listen",)),
        "jrpc": mapping({"listen": parsed(Address.parse)}, required=("listen",)),
        "p2p": _P2P,
        "http_fetch_block0_service": sequence(text),
        "no_blockchain_updates_warning_interval": duration,
        "bootstrap_from_trusted_peers": flag,
        "skip_bootstrap": flag,
        "block_hard_deadline": whole,
    }
)


class P2pSettings(NamedTuple):
    """How a node meets others. *announced* is the address that it tells them, None when it has only a name.

    Private addresses that others tell are heard only with *allow_private_addresses*.
    """

    node_id: bytes
    listen: Address | None
    announced: Address | None
    trusted_peers: tuple[Multiaddr, ...]
    allow_private_addresses: bool
    gossip_interval: float
    quarantine: float
    skip_bootstrap: bool
    max_bootstrap_attempts: int | None


class MempoolSettings(NamedTuple):
    """How many fragments are kept, and where each is noted on disk."""

    pool_max_entries: int
    log_max_entries: int
    persistent_log: Path | None


class Settings(NamedTuple):
    """A node's settings; *block0* or *block0_hash* is there, or both."""

    storage: Path | None
    block0: Path | None
    block0_hash: str | None
    secret: Path | None
    rest: Address | None
    p2p: P2pSettings
    mempool: MempoolSettings
    leader_log_entries: int


def read_config(arguments: Arguments) -> dict[str, Any]:
    """The configuration file; empty when none is given. NodeError."""
    if arguments.config is None:
        return {}
    try:
        return _CONFIG(read_yaml(arguments.config))
    except OSError as error:
        reason = system_reason(error)
        raise _refused(f"Cannot read the node configuration file: {reason}", reason) from error
    except SchemaError as error:
        raise _refused(f"Error while parsing the node configuration file: {error}", str(error)) from None


def log_settings(config: dict[str, Any], arguments: Arguments) -> LogSettings:
    """How to log; the command line goes before the file."""
    chosen = LogSettings()._replace(**config.get("log", {}))
    if arguments.log_level:
        chosen = chosen._replace(level=arguments.log_level)
    if arguments.log_format:
        chosen = chosen._replace(format=cast("Format", arguments.log_format))
    if arguments.log_output:
        chosen = chosen._replace(output=arguments.log_output)
    return chosen


def make_settings(config: dict[str, Any], arguments: Arguments) -> Settings:
    """The settings; the command line goes before the file. NodeError."""
    rest, mempool = config.get("rest", {}), config.get("mempool", {})
    if "tls" in rest or "cors" in rest:
        raise _refused("the sandbox serves REST over plain HTTP only, without rest.tls and rest.cors")
    settings = Settings(
        storage=arguments.storage or config.get("storage"),
        block0=arguments.genesis_block,
        block0_hash=arguments.genesis_block_hash,
        secret=arguments.secret or config.get("secret_file"),
        rest=arguments.rest_listen or rest.get("listen"),
        p2p=_p2p_settings(config, arguments),
        mempool=MempoolSettings(
            mempool.get("pool_max_entries", 10_000),
            mempool.get("log_max_entries", 100_000),
            mempool.get("persistent_log", {}).get("dir"),
        ),
        leader_log_entries=config.get("leadership", {}).get("logs_capacity", 1_024),
    )
    if settings.block0 is None and settings.block0_hash is None:
        raise _refused("Cannot start the node without the information to retrieve the genesis block")
    return settings


def _p2p_settings(config: dict[str, Any], arguments: Arguments) -> P2pSettings:
    p2p = config.get("p2p", {})
    public: Multiaddr | None = arguments.public_address or p2p.get("public_address")
    address = address_of(public) if public else None
    return P2pSettings(
        node_id=_node_key(p2p.get("node_key_file")).public_key,
        listen=arguments.listen_address or p2p.get("listen") or address,
        announced=address,
        trusted_peers=tuple(peer["address"] for peer in [*p2p.get("trusted_peers", []), *arguments.trusted_peers]),
        allow_private_addresses=p2p.get("allow_private_addresses", False),
        gossip_interval=p2p.get("gossip_interval", 10.0),
        quarantine=p2p.get("policy", {}).get("quarantine_duration", 600.0),
        skip_bootstrap=config.get("skip_bootstrap", False),
        max_bootstrap_attempts=p2p.get("max_bootstrap_attempts"),
    )


def _node_key(file: Path | None) -> SigningKey:
    if file is None:
        return SigningKey(token_bytes(PLAIN_SIZE))
    try:
        return SigningKey(read_key(file.read_text(), SIGNING_KEY))
    except OSError as error:
        reason = system_reason(error)
        raise _refused(f"Cannot read the node configuration file: {reason}", reason) from error
    except KeyTextError as error:
        raise _refused("cannot deserialize node key from file", *error.causes) from None


def _refused(*causes: str) -> NodeError:
    return NodeError(ExitCode.CONFIGURATION, "Error in the overall configuration of the node", *causes)
