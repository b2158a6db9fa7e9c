"""The committee's commands of the jcli adapter, on the stand-in always and on the real jcli where there is one."""

import json
from pathlib import Path

import pytest
from node_fsm_sandbox.election.committee import new_member_keys

from node_fsm.core.errors import PermanentError
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from node_fsm.storage.files import write_private
from tests.contract.binaries import Binaries
from tests.support.polling import HANGING
from tests.support.private_account import account_of_votes

PLAN_ID = "ab" * 32
VOTES = ((7, 0, 30), (0, 12))
MEMBERS = 3


@pytest.fixture
def jcli(binaries: Binaries) -> Jcli:
    return Jcli(str(binaries.jcli), timeout=HANGING)


async def committee(jcli: Jcli) -> tuple[list[Secret], list[str]]:
    """The secret and public keys of new members."""
    keys = await new_member_keys(jcli, MEMBERS)
    return [secret for secret, _ in keys], [public_key for _, public_key in keys]


def plans_after_voting(election_key: str, public_keys: list[str]) -> bytes:
    """What a node says of a plan with VOTES after voting."""
    return json.dumps([account_of_votes(PLAN_ID, VOTES, election_key, public_keys)]).encode()


async def test_all_members_open_the_votes_together(jcli: Jcli, tmp_path: Path) -> None:
    secrets, public_keys = await committee(jcli)
    assert len({secret.reveal() for secret in secrets}) == len(set(public_keys)) == MEMBERS
    election_key = await jcli.election_key(public_keys)
    assert election_key == await jcli.election_key(public_keys[::-1])
    plans, merged, result = tmp_path / "plans.json", tmp_path / "merged.json", tmp_path / "result.json"
    write_private(plans, plans_after_voting(election_key, public_keys))
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
    write_private(plans, plans_after_voting(await jcli.election_key(public_keys), public_keys))
    damaged = Secret(secrets[0].reveal()[:-1])
    for attempt in (jcli.member_public_key(damaged), jcli.decryption_shares(plans, PLAN_ID, damaged)):
        with pytest.raises(PermanentError, match="ended with code 1") as failure:
            await attempt
        assert damaged.reveal()[30:50] not in str(failure.value)
