"""The secret file of a leader."""

from pathlib import Path

from node_fsm.sandbox.crypto import SigningKey
from node_fsm.sandbox.node.errors import ExitCode, NodeError, system_reason
from node_fsm.sandbox.node.schema import SchemaError, text
from node_fsm.sandbox.node.settings import read_secret_key
from node_fsm.sandbox.node.yaml_file import read_yaml


def load_signing_key(file: Path) -> SigningKey | None:
    """The BFT signing key in a secret file, which may be a pipe; None when it has none. NodeError."""
    try:
        document = read_yaml(file)
        bft = document.get("bft") if isinstance(document, dict) else None
        return None if bft is None else _signing_key(bft)
    except OSError as error:
        reason = system_reason(error)
        raise _refused(f"Cannot read node's secrets: {reason}", reason) from error
    except SchemaError as error:
        raise _refused(f"Invalid Node secret file: {error}", str(error)) from None


def _signing_key(bft: object) -> SigningKey:
    if not isinstance(bft, dict) or "signing_key" not in bft:
        raise SchemaError("bft: missing field `signing_key`")
    try:
        return read_secret_key(text(bft["signing_key"]))
    except SchemaError:
        raise SchemaError("bft.signing_key: expected a string") from None  # not what it is: that may be the key
    except ValueError as error:
        raise SchemaError(f"bft.signing_key: {error}") from None


def _refused(*causes: str) -> NodeError:
    return NodeError(ExitCode.SECRET, "Error while loading the node's secrets.", *causes)
