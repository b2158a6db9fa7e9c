"""The node's command line."""

import argparse
import json
import platform
import re
from pathlib import Path
from typing import Any, NoReturn

from node_fsm.core.multiaddr import Multiaddr
from node_fsm_sandbox.node.address import Address, parse_multiaddr
from node_fsm_sandbox.node.errors import ExitCode
from node_fsm_sandbox.node.log import LEVELS

VERSION = "0.13.0"
SOURCE_VERSION = "sandbox"
FULL_VERSION = f"jormungandr {VERSION} ({SOURCE_VERSION}) - [python {platform.python_version()}]"
SIMPLE_VERSION = f"jormungandr {VERSION}-{SOURCE_VERSION}"

_HASH = re.compile("[0-9a-fA-F]{64}")

_UNKNOWN = re.compile(r"unrecognized arguments: (\S+)")
_INVALID = re.compile("argument --genesis-block-hash: (.*)")


class Arguments(argparse.Namespace):
    """What was given; None or empty where nothing was."""

    config: Path | None
    genesis_block: Path | None
    genesis_block_hash: str | None
    secret: Path | None
    storage: Path | None
    trusted_peers: list[dict[str, Any]]
    public_address: Multiaddr | None
    listen_address: Address | None
    log_level: str | None
    log_format: str | None
    log_output: Any
    rest_listen: Address | None
    storage_check: bool


class _Parser(argparse.ArgumentParser):
    """A parser that words errors as the node does."""

    def error(self, message: str) -> NoReturn:
        if unknown := _UNKNOWN.match(message):
            message = f"Found argument '{unknown[1]}' which wasn't expected, or isn't valid in this context"
        elif invalid := _INVALID.match(message):
            message = f"Invalid value for '--genesis-block-hash <block-0-hash>': {invalid[1]}"
        self.exit(ExitCode.USAGE, f"error: {message}\n")


def parse_arguments(words: list[str]) -> Arguments:
    """Read the words after the program's name. Ends the process after help and versions, and with 1 on errors."""
    parser = _Parser(
        prog="jormungandr", description="a stand-in for the node, for sandboxes and tests", allow_abbrev=False
    )
    parser.add_argument("--version", "-V", action="version", version=f"jormungandr {VERSION}")
    parser.add_argument("--full-version", action="version", version=FULL_VERSION)
    parser.add_argument("--source-version", action="version", version=SOURCE_VERSION)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--genesis-block", type=Path)
    parser.add_argument("--genesis-block-hash", type=_hash)
    parser.add_argument("--secret", type=Path)
    parser.add_argument("--storage", type=Path)
    parser.add_argument("--trusted-peer", dest="trusted_peers", action="append", default=[], type=_trusted_peer)
    parser.add_argument("--public-address", type=parse_multiaddr)
    parser.add_argument("--listen-address", type=Address.parse)
    parser.add_argument("--log-level", choices=list(LEVELS))
    parser.add_argument("--log-format", choices=["default", "plain", "json"])
    parser.add_argument("--log-output", choices=["stdout", "stderr"])
    parser.add_argument("--rewards-report-all", action="store_true")
    parser.add_argument("--storage-check", action="store_true")
    parser.add_argument("rest_listen", nargs="?", type=Address.parse)
    parser.add_argument("jrpc_listen", nargs="?", type=Address.parse)
    return parser.parse_args(words, namespace=Arguments())


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise argparse.ArgumentTypeError("invalid hex encoding for hash value")
    return text.lower()


def _trusted_peer(text: str) -> dict[str, Any]:
    try:
        return {"address": parse_multiaddr(json.loads(text)["address"])}
    except (ValueError, TypeError, KeyError):
        raise argparse.ArgumentTypeError('expected {"address": "/ip4/.../tcp/..."}') from None
