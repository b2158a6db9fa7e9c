"""What a block 0 says, against what ``jcli genesis decode`` says of the same bytes."""

import io
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from struct import pack
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from node_fsm.chain import bech32
from node_fsm.chain.address import account_address, ed25519_public_key
from node_fsm.chain.block0 import Block0Summary, Total, read_head, summarise
from node_fsm.chain.certificates import MintedToken, PlanProposal, VoteAction
from node_fsm.chain.errors import BrokenChainError, MalformedError, TruncatedError
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.transactions import Output
from node_fsm.core.chain_time import BlockDate
from tests.chain import build
from tests.chain.helpers import DATA, refusal, stored
from tests.chain.recording import PRIVATE_TOKEN, PUBLIC_TOKEN, Jcli, configuration, full_genesis, vote_plan

CHAIN = stored("blocks.b64")
FULL = stored("full_block0.b64")


def summary_of(data: bytes) -> Block0Summary:
    return summarise(io.BytesIO(data))


def decoded_by_jcli(name: str) -> dict[str, Any]:
    decoded: dict[str, Any] = yaml.safe_load((DATA / name).read_text())
    return decoded


def block0_of_chain() -> bytes:
    """The first block of the recorded chain."""
    size = int.from_bytes(CHAIN[2:6])
    return CHAIN[: 82 + size]


def assert_says(data: bytes, decoded: dict[str, Any]) -> Block0Summary:
    """*data* says what jcli decoded: configuration, every fund and token in order, number of certificates."""
    funds: list[Output] = []
    tokens: list[MintedToken] = []
    summary = summarise(io.BytesIO(data), on_fund=funds.append, on_token=tokens.append)
    assert summary.configuration == decoded["blockchain_configuration"]
    entries = decoded["initial"]
    decoded_funds = list(chain.from_iterable(entry.get("fund", ()) for entry in entries))
    decoded_tokens = [
        (entry["token"]["token_id"], to["address"], to["value"])
        for entry in entries
        if "token" in entry
        for to in entry["token"]["to"]
    ]
    first_byte = b"\x05" if summary.production else b"\x85"
    # genesis decode spells all addresses with the prefix of production, whatever their kind.
    assert [{"address": bech32.encode("ca", raw), "value": value} for raw, value in funds] == decoded_funds
    assert [
        (token_id, bech32.encode("ca", first_byte + account), value) for token_id, account, value in tokens
    ] == decoded_tokens
    assert summary.funds == Total(len(decoded_funds), sum(fund["value"] for fund in decoded_funds))
    by_token = groupby(sorted(decoded_tokens), key=lambda token: token[0])
    expected = {token_id: [value for _, _, value in group] for token_id, group in by_token}
    assert summary.tokens == {token_id: Total(len(values), sum(values)) for token_id, values in expected.items()}
    assert len(summary.vote_plans) == sum("cert" in entry for entry in entries)
    return summary


def test_a_recorded_block_0_says_what_jcli_decodes() -> None:
    summary = assert_says(block0_of_chain(), decoded_by_jcli("block0.yaml"))
    assert summary.size == len(block0_of_chain())
    assert not summary.production
    assert summary.leader_ids == tuple(
        decoded_by_jcli("block0.yaml")["blockchain_configuration"]["consensus_leader_ids"]
    )
    assert summary.clock.start.timestamp() == summary.configuration["block0_date"]
    assert (summary.clock.slot_duration, summary.clock.slots_per_epoch) == (1, 60)


def test_every_parameter_and_kind_of_address_is_read() -> None:
    summary = assert_says(FULL, decoded_by_jcli("full_block0.yaml"))
    assert summary.production
    assert len(summary.committees) == 2


def test_vote_plans_are_read() -> None:
    public, private = summary_of(block0_of_chain()).vote_plans
    assert (public.payload_type, private.payload_type) == ("public", "private")
    assert (public.voting_token, private.voting_token) == (PUBLIC_TOKEN, PRIVATE_TOKEN)
    assert (public.vote_start, public.vote_end, public.committee_end) == (
        BlockDate(0, 0),
        BlockDate(0, 12),
        BlockDate(1, 0),
    )
    off_chain = VoteAction("off_chain")
    assert public.proposals == (PlanProposal("01" * 32, 3, off_chain), PlanProposal("02" * 32, 2, off_chain))
    assert public.committee_member_public_keys == ()
    assert len(private.committee_member_public_keys) == 2
    leader = summary_of(block0_of_chain()).leader_ids[0]
    assert public.committee_id == ed25519_public_key(leader).hex()


@pytest.mark.parametrize(
    ("action", "read"),
    [
        (b"\1\0", VoteAction("treasury", "no_op")),
        (b"\1\1" + pack(">Q", 5), VoteAction("treasury", "transfer_to_rewards", 5)),
        (b"\2\0", VoteAction("parameters", "no_op")),
        (b"\2\1" + pack(">Q", 6), VoteAction("parameters", "reward_add", 6)),
    ],
)
def test_governance_actions_are_read(action: bytes, read: VoteAction) -> None:
    plan = build.plan(build.plan_content(action=action))
    (found,) = summary_of(build.block([build.initial(), plan])).vote_plans
    assert [proposal.action for proposal in found.proposals] == [read, read]


def test_fragments_of_other_kinds_are_counted() -> None:
    others = [
        build.fragment(FragmentKind.STAKE_DELEGATION, b"?"),
        build.fragment(FragmentKind.OLD_UTXO_DECLARATION, b""),
        build.fragment(FragmentKind.STAKE_DELEGATION, b"??"),
    ]
    summary = summary_of(build.block([build.initial(), *others]))
    assert summary.others == {"stake_delegation": 2, "old_utxo_declaration": 1}


def test_what_a_block_0_does_not_hold_is_none_or_empty() -> None:
    summary = summary_of(build.block([build.initial()]))
    assert (summary.funds, summary.tokens, summary.vote_plans, summary.others) == (Total(0, 0), {}, (), {})
    assert (summary.leader_ids, summary.committees) == ((), ())


def with_initial(initial: bytes) -> bytes:
    return build.block([initial])


def after_initial(fragment: bytes) -> bytes:
    return build.block([build.initial(), fragment])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "stream is empty"),
        (build.block([]), "configuration as first fragment"),
        (build.block([build.fund((build.address(build.ANN), 1))]), "configuration as first fragment"),
        (with_initial(build.initial()) + b"\0", "end of the stream after block 0"),
        (after_initial(build.initial()), "no second configuration"),
        (with_initial(build.initial(without=2)), "lacks block0_date"),
        (with_initial(build.initial((4, pack(">I", 60)))), "slots_per_epoch is there twice"),
        (with_initial(build.initial((12, build.LEADER))), "parameter 12 is unknown or cannot be in a block 0"),
        (with_initial(build.initial((7, b""))), "parameter 7 is unknown"),
        (with_initial(build.initial(change={5: b"\0"})), "above zero"),
        (with_initial(build.initial(change={1: b"\3"})), r"expected 1 \(production\) or 2 \(test\), found 3"),
        (with_initial(build.initial(change={5: b"\1\0"})), "expected the end of slot_duration, 1 bytes are left"),
        (with_initial(build.initial(change={2: b"\0"})), r"expected date \(8 bytes\), 1 bytes are left"),
        (with_initial(build.initial((24, pack(">QQ", 1, 0)))), "above zero"),
        (after_initial(build.fund((build.address(build.ANN, test=False), 1))), "chain's own discrimination"),
        (after_initial(build.fund((build.address(build.ANN, kind=8), 1))), "unknown kind 8"),
        (after_initial(build.fund(inputs=b"\xff" + bytes(40) + b"\1" + bytes(64))), "transaction with inputs"),
        (after_initial(build.fund((build.address(build.ANN), 1))[:-1]), "which the block's content has left"),
        (after_initial(build.token(build.ANN, 1, name=b"x" * 33)), "at most 32 bytes, found 33"),
        (after_initial(build.plan(build.plan_content(options=[17]))), "1 to 16 options, found 17"),
        (after_initial(build.plan(build.plan_content(options=[0]))), "1 to 16 options, found 0"),
        (after_initial(build.plan(build.plan_content(action=b"\3"))), "unknown action 3"),
        (after_initial(build.plan(build.plan_content(action=b"\1\2"))), "unknown treasury action 2"),
    ],
)
def test_what_is_wrong_with_a_block_0_is_said(data: bytes, fault: str) -> None:
    with pytest.raises(MalformedError, match=fault):
        summary_of(data)


def test_a_later_block_is_no_block_0() -> None:
    with pytest.raises(BrokenChainError, match="no block 0"):
        summary_of(CHAIN[len(block0_of_chain()) :])


def test_a_cut_block_0_is_truncated() -> None:
    data = block0_of_chain()
    for length in range(1, len(data)):
        with pytest.raises(TruncatedError) as caught:
            summary_of(data[:length])
        assert caught.value.offset == 0


@given(st.integers(0, len(FULL) - 83), st.integers(1, 255))
def test_any_content_is_decoded_or_refused(position: int, flip: int) -> None:
    content = bytearray(FULL[82:])
    content[position] ^= flip
    # The header agrees with the content, so that only decoding can refuse it.
    error = refusal(summary_of, build.block([bytes(content)]))
    assert error is None or 0 <= error.offset <= len(FULL)


@pytest.mark.real
def test_a_block_0_encoded_now_says_what_was_asked(real_jcli: str, tmp_path: Path) -> None:
    jcli = Jcli(real_jcli, tmp_path)
    leader = jcli.key_pair("leader")
    voters = [account_address(index.to_bytes(32), production=False) for index in range(1, 601)]
    to = [{"address": address, "value": index} for index, address in enumerate(voters, start=1)]
    plans = [
        jcli.signed_plan("public", vote_plan("public", [2] * 255, PUBLIC_TOKEN, []), "leader"),
        jcli.signed_plan("private", vote_plan("private", [16], PRIVATE_TOKEN, jcli.member_keys(3)), "leader"),
    ]
    genesis = {
        "blockchain_configuration": configuration(consensus_leader_ids=[leader]),
        "initial": [
            *({"fund": to[index : index + 254]} for index in range(0, 600, 254)),
            {"token": {"token_id": PUBLIC_TOKEN, "to": to}},
            {"token": {"token_id": PRIVATE_TOKEN, "to": to[:300]}},
            *({"cert": certificate} for _, certificate in plans),
        ],
    }
    data = jcli.encode_block0(genesis).read_bytes()
    summary = assert_says(data, yaml.safe_load(jcli("genesis", "decode", "--input", "block0.bin")))
    assert summary.hash == jcli("genesis", "hash", "--input", "block0.bin")
    assert [plan.id for plan in summary.vote_plans] == [plan_id for plan_id, _ in plans]
    assert summary.configuration == genesis["blockchain_configuration"]


@pytest.mark.real
def test_every_parameter_encoded_now_is_read(real_jcli: str, tmp_path: Path) -> None:
    jcli = Jcli(real_jcli, tmp_path)
    genesis = full_genesis(jcli)
    data = jcli.encode_block0(genesis).read_bytes()
    assert_says(data, yaml.safe_load(jcli("genesis", "decode", "--input", "block0.bin")))


def test_the_head_says_what_the_whole_does_of_the_chain() -> None:
    data = block0_of_chain()
    head, summary = read_head(io.BytesIO(data)), summary_of(data)
    assert (head.header, head.configuration) == (summary.header, summary.configuration)


def test_a_head_is_given_only_of_a_whole_block_0() -> None:
    data = block0_of_chain()
    head_of = partial(refusal, lambda raw: read_head(io.BytesIO(raw)))
    assert head_of(data) is None
    for position in range(82, len(data), 97):  # of the content: another header is that of another block
        assert head_of(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    assert all(head_of(data[:length]) for length in range(0, len(data), 101))
    assert head_of(data + b"\0")
    assert head_of(CHAIN[len(data) :])
