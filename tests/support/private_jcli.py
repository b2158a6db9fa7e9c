"""The committee's commands of the jcli of the tests, with the cryptography of the stand-ins."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from node_fsm_sandbox.formats import ballots, ristretto
from node_fsm_sandbox.formats.ballots import EncryptedTally, SharesError

from node_fsm.chain import bech32
from node_fsm.chain.address import ELECTION_KEY_PREFIX, MEMBER_KEY_PREFIX, MEMBER_SECRET_PREFIX
from node_fsm.core.committee import PostedShare, SavedSnapshot, Share
from node_fsm.core.errors import PermanentError
from node_fsm.core.secret import Secret


def new_member_secret() -> Secret:
    """A new key of a member."""
    return Secret(bech32.encode(MEMBER_SECRET_PREFIX, ristretto.write_scalar(ristretto.random_scalar())))


def member_public_key(secret: Secret) -> str:
    """The public half of a member's key; PermanentError when it is none."""
    return bech32.encode(MEMBER_KEY_PREFIX, ballots.public_key(_scalar(secret)))


def election_key(member_keys: Sequence[str]) -> str:
    """The key that votes are encrypted with."""
    return bech32.encode(ELECTION_KEY_PREFIX, ballots.election_key(bech32.decode(key)[1] for key in member_keys))


def decryption_shares(plans: Path, plan_id: str, secret: Secret) -> Share:
    """A share for each proposal of a plan whose sums are encrypted; none for one whose sums are not."""
    scalar, sums = _scalar(secret), map(_encrypted, _plan(plans, plan_id)["proposals"])
    return tuple(b64encode(tally.share(scalar)).decode() for tally in sums if tally)


def share_of(snapshot: SavedSnapshot, secret: Secret) -> PostedShare:
    """A member's share of a plan, as the member posts it."""
    with NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(snapshot.printed, file)
        file.flush()
        share = decryption_shares(Path(file.name), snapshot.plan_id, secret)
    return PostedShare(snapshot.plan_id, snapshot.hash, member_public_key(secret), share)


def merge_shares(members: Sequence[Path], merged: Path) -> None:
    """All members' shares, by proposal and member."""
    shares = [json.loads(file.read_text()) for file in members]
    merged.write_text(json.dumps([list(of_proposal) for of_proposal in zip(*shares, strict=True)]))


def decrypt_results(plans: Path, plan_id: str, merged: Path, result: Path) -> None:
    """The plan with its votes, as the node shows it once they are on the chain; PermanentError for a wrong share."""
    plan = _plan(plans, plan_id)
    keys = [bech32.decode(key)[1] for key in plan["committee_member_keys"]]
    for proposal, shares in zip(plan["proposals"], json.loads(merged.read_text()), strict=True):
        tally = _encrypted(proposal)
        assert tally, "jcli panics where the sums are not encrypted"
        try:
            votes = tally.decrypt(keys, list(map(b64decode, shares)))
        except SharesError as error:
            raise PermanentError("CommandFailed", f"jcli votes tally decrypt-results: {error}") from None
        counted = {"results": votes, "options": proposal["options"]}
        proposal["tally"] = {"Private": {"state": {"Decrypted": {"result": counted}}}}
    result.write_text(json.dumps(plan))


def _scalar(secret: Secret) -> int:
    try:
        prefix, data = bech32.decode(secret.reveal())
        if prefix != MEMBER_SECRET_PREFIX:
            raise ValueError
        return ristretto.read_scalar(data)
    except ValueError:
        raise PermanentError("CommandFailed", "jcli votes ended with code 1: bech32 error") from None


def _plan(plans: Path, plan_id: str) -> Any:
    """The plan in a file of one or of many."""
    document = json.loads(plans.read_text())
    every = document if isinstance(document, list) else [document]
    return next(plan for plan in every if plan["id"] == plan_id)


def _encrypted(proposal: Any) -> EncryptedTally | None:
    state = proposal["tally"]["Private"]["state"]
    return EncryptedTally.from_bytes(b64decode(state["Encrypted"]["encrypted_tally"])) if "Encrypted" in state else None
