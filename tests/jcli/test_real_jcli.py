"""The jcli adapter with the real jcli."""

from pathlib import Path

import pytest

from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import Payer
from node_fsm.core.secret import Secret
from node_fsm.programs.jcli import Jcli
from tests.support.small_chain import make_chain
from tests.support.wallet import new_wallet, public_vote

BLOCK0_HASH = "ab" * 32


@pytest.fixture
def jcli(real_jcli: Path) -> Jcli:
    return Jcli(str(real_jcli))


async def test_version(jcli: Jcli) -> None:
    assert (await jcli.version()).startswith("jcli 0.13.")


@pytest.mark.parametrize("key_type", ["ed25519", "ed25519extended"])
async def test_keys(jcli: Jcli, real_jcli: Path, key_type: str) -> None:
    wallet = await new_wallet(real_jcli, key_type)
    assert wallet.public_key.startswith("ed25519_pk1")
    assert len(bytes.fromhex(wallet.id)) == 32
    assert await jcli.public_key(Secret(wallet.secret.reveal() + "\n")) == wallet.public_key


async def test_a_damaged_key_is_refused_and_not_repeated(jcli: Jcli, real_jcli: Path) -> None:
    text = (await new_wallet(real_jcli)).secret.reveal()
    with pytest.raises(PermanentError, match="jcli key to-public ended with code 1: invalid Bech32") as failure:
        await jcli.public_key(Secret(text[:-1]))
    assert text[20:40] not in str(failure.value)


async def test_block0_with_a_signed_plan(jcli: Jcli, real_jcli: Path, tmp_path: Path) -> None:
    chain = await make_chain(real_jcli, tmp_path)
    assert len(bytes.fromhex(chain.block0_hash)) == 32
    assert await jcli.vote_plan_id(tmp_path / "plan.cert") == chain.plan_id
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "plan.cert", chain.block0)} == {0o600}
    again = tmp_path / "again.bin"
    await jcli.genesis_encode(tmp_path / "genesis.json", again)
    assert again.read_bytes() == chain.block0.read_bytes()


async def test_refusals_say_what_jcli_says(jcli: Jcli, tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text('{"blockchain_configuration": {"unknown": 1}, "initial": []}')
    with pytest.raises(PermanentError, match=r"jcli genesis encode ended with code 1.*unknown field `unknown`"):
        await jcli.genesis_encode(tmp_path / "genesis.json", tmp_path / "block0.bin")
    assert not (tmp_path / "block0.bin").exists()


async def test_tally_transaction_is_authorised_and_a_vote_is_not(jcli: Jcli, real_jcli: Path, tmp_path: Path) -> None:
    leader = await new_wallet(real_jcli, "ed25519")
    certificate = await jcli.public_tally_certificate("cd" * 32)
    payer = Payer(leader.address, 0, 0, leader.secret)
    expiry = BlockDate(1, 9)
    tally = await jcli.transaction(
        certificate, payer, block0_hash=BLOCK0_HASH, expiry=expiry, directory=tmp_path, authority=leader.secret
    )
    assert len(bytes.fromhex(tally.id)) == 32
    with pytest.raises(PermanentError, match=r"to-message.*need payload auth"):
        await jcli.transaction(certificate, payer, block0_hash=BLOCK0_HASH, expiry=expiry, directory=tmp_path)
    vote = await public_vote(
        real_jcli,
        leader,
        plan_id="cd" * 32,
        proposal=0,
        choice=1,
        block0_hash=BLOCK0_HASH,
        expiry=expiry,
        directory=tmp_path,
    )
    assert vote.id != tally.id
    assert 100 < len(vote.raw) < 200 < len(tally.raw) < 300
    assert list(tmp_path.iterdir()) == []
