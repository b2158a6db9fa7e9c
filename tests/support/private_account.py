"""What a node says of a private plan after voting, with known votes in its encrypted sums."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.formats.ballots import EncryptedTally

from node_fsm.chain import bech32


def account_of_votes(
    plan_id: str, votes: Sequence[Sequence[int]], election_key: str, public_keys: Sequence[str]
) -> dict[str, Any]:
    """The plan with *votes* (by proposal and option), one ballot for each option."""
    key = bech32.decode(election_key)[1]
    plan = bytes.fromhex(plan_id)

    def proposal(index: int, powers: Sequence[int]) -> dict[str, Any]:
        tally = EncryptedTally.empty(plan, key, len(powers))
        for choice, power in enumerate(powers):
            ballot = ballots.encrypt_vote(plan, key, len(powers), choice)
            tally.add(ballots.open_ballot(plan, key, ballot), power)
        state = {"Encrypted": {"encrypted_tally": b64encode(tally.to_bytes()).decode()}}
        return {
            "index": index,
            "proposal_id": f"{index:064x}",
            "options": {"start": 0, "end": len(powers)},
            "tally": {"Private": {"state": state}},
            "votes_cast": len(powers),
        }

    return {
        "id": plan_id,
        "payload": "private",
        "vote_start": "0.0",
        "vote_end": "2.0",
        "committee_end": "4.0",
        "committee_member_keys": list(public_keys),
        "proposals": [proposal(index, powers) for index, powers in enumerate(votes)],
        "voting_token": f"{'0' * 56}.aa",
    }
