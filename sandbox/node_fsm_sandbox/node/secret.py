"""The secret file of a leader."""

from pathlib import Path
from typing import Any

from node_fsm_sandbox.formats.crypto import SigningKey
from node_fsm_sandbox.node.errors import ExitCode, NodeError, system_reason
from node_fsm_sandbox.node.key_text import SIGNING_KEY, read_key
from node_fsm_sandbox.node.schema import SchemaError
from node_fsm_sandbox.node.yaml_file import read_yaml


def load_signing_key(file: Path) -> SigningKey | None:
    """The BFT signing key in a secret file, which may be a pipe; None when it has none. NodeError."""
    try:
        # What is found is not repeated in any message: it may be the key.
        bft = _section(read_yaml(file), "struct NodeSecret").get("bft")
        return None if bft is None else _signing_key(bft)
    except OSError as error:
        reason = system_reason(error)
        raise _refused(f"Cannot read node's secrets: {reason}", reason) from error
    except SchemaError as error:
        raise _refused(f"Invalid Node secret file: {error}", str(error)) from None


def _signing_key(bft: object) -> SigningKey:
    section = _section(bft, "struct Bft")
    if "signing_key" not in section:
        raise SchemaError("bft: missing field `signing_key`")
    try:
        return SigningKey(read_key(str(section["signing_key"]), SIGNING_KEY))
    except ValueError as error:
        raise SchemaError(f"bft.signing_key: {error}") from None


def _section(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SchemaError(f"invalid type, expected {name}")
    return value


def _refused(*causes: str) -> NodeError:
    return NodeError(ExitCode.SECRET, "Error while loading the node's secrets.", *causes)
