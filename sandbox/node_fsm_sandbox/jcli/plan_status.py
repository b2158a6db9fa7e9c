"""What a node says of its vote plans, and the decryption shares for them: the files of a private tally."""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from typing import Any

from node_fsm_sandbox.formats.ballots import SHARE_SIZE
from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.errors import CommandError

PlanStatus = dict[str, Any]
"""A plan as the node prints it, no more and no less than jcli knows of it."""

_PLAN_FIELDS = (
    "id",
    "payload",
    "vote_start",
    "vote_end",
    "committee_end",
    "committee_member_keys",
    "proposals",
    "voting_token",
)
_PROPOSAL_FIELDS = ("index", "proposal_id", "options", "tally", "votes_cast")


def read_json(path: str | None, refusal: Callable[[str], CommandError] | None = None) -> Any:
    """The JSON in a file; CommandError."""
    data = files.read(path, refusal or (lambda reason: CommandError("I/O error", reason)))
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        if error.pos >= len(data.rstrip()):
            raise CommandError(f"EOF while parsing a value at line {error.lineno} column {error.colno - 1}") from None
        raise CommandError(f"expected value at line {error.lineno} column {error.colno}") from None
    except ValueError as error:
        raise CommandError(str(error)) from None


def read_plans(path: str | None) -> list[PlanStatus]:
    """All plans in a file, which must be a list; CommandError."""
    document = read_json(path)
    if not isinstance(document, list):
        raise CommandError("invalid type: map, expected a sequence at line 1 column 0")
    return [_plan(item) for item in document]


def read_plan(path: str | None, plan_id: bytes | None) -> PlanStatus:
    """The plan of that id in a file of one plan or of many; CommandError."""
    document = read_json(path)
    if isinstance(document, dict):
        plan = _plan(document)
        if plan_id is None or plan["id"] == plan_id.hex():
            return plan
        raise CommandError("could not find vote plan with specified id")
    if not isinstance(document, list):
        raise CommandError("could not decode vote plan")
    plans = [_plan(item) for item in document]
    if plan_id is None:
        if len(plans) != 1:
            raise CommandError("please specify a correct id for the vote plan")
        return plans[0]
    for plan in plans:
        if plan["id"] == plan_id.hex():
            return plan
    raise CommandError("could not find vote plan with specified id")


def encrypted_tally(proposal: dict[str, Any]) -> bytes | None:
    """The encrypted sums of a proposal; None when they are not encrypted."""
    state = _private_state(proposal)
    if state is None or "Encrypted" not in state:
        return None
    return b64decode(state["Encrypted"]["encrypted_tally"])


def decrypted_results(proposal: dict[str, Any]) -> list[int] | None:
    """The decrypted sums of a proposal of a private plan; None when there are none."""
    state = _private_state(proposal)
    if state is None or "Decrypted" not in state:
        return None
    results: list[int] = state["Decrypted"]["result"]["results"]
    return results


def is_public(proposal: dict[str, Any]) -> bool:
    """Whether a proposal is one of a public plan."""
    return "Public" in proposal["tally"]


def decrypted(proposal: dict[str, Any], results: Sequence[int]) -> dict[str, Any]:
    """A proposal with its sums opened."""
    result = {"results": list(results), "options": {"start": 0, "end": len(results)}}
    return proposal | {"tally": {"Private": {"state": {"Decrypted": {"result": result}}}}}


def write_shares(shares: Sequence[Any]) -> str:
    """Shares as jcli prints them: lists, of lists when they are merged, of base64."""
    return json.dumps(shares, separators=(",", ":"), default=lambda share: b64encode(share).decode())


def read_shares(path: str) -> list[bytes]:
    """One member's shares, by proposal; CommandError."""
    return [_share(text) for text in _list(read_json(path))]


def read_merged_shares(path: str | None, proposals: int, threshold: int) -> list[list[bytes]]:
    """All members' shares, by proposal and member; CommandError when they are too few."""
    merged = [[_share(text) for text in _list(shares)] for shares in _list(read_json(path))]
    if len(merged) != proposals or len(merged[0]) < threshold:
        raise CommandError("insufficient amount of shares for vote plan decryption")
    if any(len(share) % SHARE_SIZE for shares in merged for share in shares):
        raise CommandError("invalid binary share data")
    return merged


def _plan(document: Any) -> PlanStatus:
    plan = _known(document, _PLAN_FIELDS)
    return plan | {"proposals": [_known(proposal, _PROPOSAL_FIELDS) for proposal in plan["proposals"]]}


def _known(document: Any, names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise CommandError("invalid type: expected a map")
    for name in names:
        if name not in document:
            raise CommandError(f"missing field `{name}`")
    return {name: document[name] for name in names}


def _private_state(proposal: dict[str, Any]) -> dict[str, Any] | None:
    private = proposal["tally"].get("Private")
    return private["state"] if private else None


def _list(document: Any) -> list[Any]:
    if not isinstance(document, list):
        raise CommandError("invalid type: expected a sequence")
    return document


def _share(text: Any) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, TypeError, ValueError) as error:
        raise CommandError(str(error)) from None
