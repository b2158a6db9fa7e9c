"""The committee's commands of the jcli adapter, on the stand-in always and on the real jcli where there is one."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.formats.ballots import EncryptedTally

from node_fsm.chain import bech32
from node_fsm.core.errors import PermanentError
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from node_fsm.storage.files import write_private
from tests.contract.binaries import Binaries
from tests.support.polling import HANGING

PLAN_ID = "ab" * 32
VOTES = ((7, 0, 30), (0, 12))
MEMBERS = 3


@pytest.fixture
def jcli(binaries: Binaries) -> Jcli:
    return Jcli(str(binaries.jcli), timeout=HANGING)


async def committee(jcli: Jcli) -> tuple[list[Secret], list[str]]:
    """The secret and public keys of new members."""
    communication = [await jcli.communication_public_key(await jcli.new_communication_key()) for _ in range(MEMBERS)]
    secrets = [await jcli.new_member_key(MEMBERS, "crs", index, communication) for index in range(MEMBERS)]
    return secrets, [await jcli.member_public_key(secret) for secret in secrets]


def account_of_votes(election_key: str, public_keys: list[str]) -> list[dict[str, Any]]:
    """What a node says of a plan with VOTES after voting."""
    key = bech32.decode(election_key)[1]

    def proposal(index: int, votes: tuple[int, ...]) -> dict[str, Any]:
        tally = EncryptedTally.empty(bytes.fromhex(PLAN_ID), key, len(votes))
        for choice, power in enumerate(votes):
            ballot = ballots.encrypt_vote(bytes.fromhex(PLAN_ID), key, len(votes), choice)
            tally.add(ballots.open_ballot(bytes.fromhex(PLAN_ID), key, ballot), power)
        state = {"Encrypted": {"encrypted_tally": b64encode(tally.to_bytes()).decode()}}
        return {
            "index": index,
            "proposal_id": f"{index:064x}",
            "options": {"start": 0, "end": len(votes)},
            "tally": {"Private": {"state": state}},
            "votes_cast": len(votes),
        }

    return [
        {
            "id": PLAN_ID,
            "payload": "private",
            "vote_start": "0.0",
            "vote_end": "2.0",
            "committee_end": "4.0",
            "committee_member_keys": public_keys,
            "proposals": [proposal(index, votes) for index, votes in enumerate(VOTES)],
            "voting_token": f"{'0' * 56}.aa",
        }
    ]


async def test_all_members_open_the_votes_together(jcli: Jcli, tmp_path: Path) -> None:
    secrets, public_keys = await committee(jcli)
    assert len({secret.reveal() for secret in secrets}) == len(set(public_keys)) == MEMBERS
    election_key = await jcli.election_key(public_keys)
    assert election_key == await jcli.election_key(public_keys[::-1])
    plans, merged, result = tmp_path / "plans.json", tmp_path / "merged.json", tmp_path / "result.json"
    write_private(plans, json.dumps(account_of_votes(election_key, public_keys)).encode())
    files = []
    for index, secret in enumerate(secrets):
        share = await jcli.decryption_shares(plans, PLAN_ID, secret)
        assert len(share) == len(VOTES)
        files.append(tmp_path / f"share-{index}.json")
        write_private(files[-1], json.dumps(share).encode())
    await jcli.merge_shares(files, merged)
    await jcli.decrypt_results(plans, PLAN_ID, merged, result, members=MEMBERS, timeout=HANGING)
    opened = json.loads(result.read_text())
    counted = [
        proposal["tally"]["Private"]["state"]["Decrypted"]["result"]["results"] for proposal in opened["proposals"]
    ]
    assert counted == [list(votes) for votes in VOTES]
    assert {file.stat().st_mode & 0o777 for file in (merged, result)} == {0o600}
    assert (await jcli.private_tally_certificate(PLAN_ID, result, merged)).startswith("cert1")
    await jcli.merge_shares(files[::-1], merged)
    with pytest.raises(PermanentError, match=r"decrypt-results ended with code 1: .*not valid"):
        await jcli.decrypt_results(plans, PLAN_ID, merged, result, members=MEMBERS, timeout=HANGING)


async def test_a_key_that_is_none_is_refused_and_not_repeated(jcli: Jcli, tmp_path: Path) -> None:
    secrets, public_keys = await committee(jcli)
    plans = tmp_path / "plans.json"
    write_private(plans, json.dumps(account_of_votes(await jcli.election_key(public_keys), public_keys)).encode())
    damaged = Secret(secrets[0].reveal()[:-1])
    for attempt in (jcli.member_public_key(damaged), jcli.decryption_shares(plans, PLAN_ID, damaged)):
        with pytest.raises(PermanentError, match="ended with code 1") as failure:
            await attempt
        assert damaged.reveal()[30:50] not in str(failure.value)
