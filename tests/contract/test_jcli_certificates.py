"""Certificates: vote plans and their ids, votes, tallies, and signatures for block 0."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats.chain import block0_certificate, fragment
from node_fsm_sandbox.formats.crypto import SigningKey, blake2b_256, verify

from node_fsm.chain import bech32
from node_fsm.chain.certificates import OFF_CHAIN, PlanCertificate, PlanProposal, decode_vote_cast, decode_vote_plan
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm.core.block_date import BlockDate
from tests.contract.chains import TOKEN, Plan, Wallet
from tests.contract.commands import PANIC_CODE, Jcli

WALLET = Wallet(bytes(32))
MEMBER_KEYS = [bech32.encode("ristretto255_memberpk", ballots.public_key(secret)) for secret in (5, 7)]
ELECTION_KEY = bech32.encode("ristretto255_votepk", ballots.public_key(12))
PLAN_ID = "ab" * 32
DATES = (BlockDate(1, 0), BlockDate(2, 3), BlockDate(4, 5))

NEW_PLAN = ("certificate", "new", "vote-plan")
PUBLIC_VOTE = ("certificate", "new", "vote-cast", "public")
PRIVATE_VOTE = ("certificate", "new", "vote-cast", "private")

BAD_PLAN = "invalid vote plan certificate configuration"
NOT_BECH32 = "Failed to parse bech32, invalid data format"


def plan(private: bool = False) -> dict[str, Any]:
    return Plan(*DATES, member_keys=tuple(MEMBER_KEYS) if private else ()).document()


def content(certificate: str) -> tuple[int, bytes]:
    """A certificate's kind and its content."""
    prefix, data = bech32.decode(certificate, (bech32.BECH32M,))
    assert prefix == "cert"
    return data[0], data[1:]


def decoded(certificate: str) -> PlanCertificate:
    _, data = content(certificate)
    return decode_vote_plan(Fragment.from_bytes(fragment(FragmentKind.VOTE_PLAN, block0_certificate(data) + bytes(96))))


@pytest.mark.parametrize("private", [False, True])
def test_vote_plans(jcli: Jcli, private: bool) -> None:
    jcli.write("plan.json", json.dumps(plan(private)))
    assert jcli.out(*NEW_PLAN, "plan.json", "--output", "plan.cert") == ""
    certificate = jcli.read("plan.cert")
    found = decoded(certificate)
    assert (found.vote_start, found.vote_end, found.committee_end) == (
        BlockDate(1, 0),
        BlockDate(2, 3),
        BlockDate(4, 5),
    )
    assert found.payload_type == ("private" if private else "public")
    assert found.proposals == tuple(PlanProposal(f"{number:064x}", 3, OFF_CHAIN) for number in range(2))
    assert found.committee_member_public_keys == (tuple(MEMBER_KEYS) if private else ())
    assert found.voting_token == TOKEN

    assert jcli.out(*NEW_PLAN, stdin=json.dumps(plan(private))) == certificate
    show = ("certificate", "show", "vote-plan-id")
    assert jcli.out(*show, "--input", "plan.cert") == blake2b_256(content(certificate)[1]).hex()
    assert jcli.out(*show, "--output", "plan.id", stdin=certificate) == ""
    assert jcli.read("plan.id") == found.id


def test_a_plan_may_be_yaml_with_dates_as_text_and_more_in_it(jcli: Jcli) -> None:
    document = f"""\
        payload_type: public
        vote_start: "1.0"
        vote_end: {{epoch: 2, slot_id: 3}}
        committee_end: "4.5"
        proposals:
          - external_id: {"0" * 64!r}
            options: 3
            action: off_chain
            title: not for the chain
        committee_member_public_keys: []
        voting_token: {TOKEN!r}
        comment: nor is this
    """
    alike = plan() | {"proposals": plan()["proposals"][:1]}
    assert jcli.out(*NEW_PLAN, stdin=document) == jcli.out(*NEW_PLAN, stdin=json.dumps(alike))


@pytest.mark.parametrize("proposals", [0, 1, 255])
def test_numbers_of_proposals(jcli: Jcli, proposals: int) -> None:
    document = plan() | {"proposals": plan()["proposals"][:1] * proposals}
    assert len(decoded(jcli.out(*NEW_PLAN, stdin=json.dumps(document))).proposals) == proposals


def test_too_many_proposals_are_a_panic(jcli: Jcli) -> None:
    document = plan() | {"proposals": plan()["proposals"][:1] * 256}
    assert jcli.refused(*NEW_PLAN, stdin=json.dumps(document)) == (PANIC_CODE, "too many proposals")


def changed(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.update(values)


def changed_proposal(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["proposals"][1].update(values)


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda document: document.pop("voting_token"), "missing field `voting_token`"),
        (lambda document: document.pop("vote_end"), "missing field `vote_end`"),
        (changed(payload_type="secret"), "payload_type: unknown variant `secret`, expected `public` or `private`"),
        (
            changed(committee_member_public_keys=[ELECTION_KEY]),
            (
                "committee_member_public_keys[0]: Invalid public key with bech32 representation "
                f"{ELECTION_KEY}, Error Parsed bech32 has invalid HRP prefix 'ristretto255_votepk',"
                " expected 'ristretto255_memberpk'"
            ),
        ),
        (
            changed_proposal(action="vote"),
            "proposals[1].action: unknown variant `vote`, expected one of `off_chain`, `treasury`, `parameters`",
        ),
        (changed_proposal(external_id="zz"), "proposals[1].external_id: invalid hex encoding for digest value"),
        (changed_proposal(options=0), "proposals[1].options: Invalid multi choice option 0"),
        (changed_proposal(options=17), "proposals[1].options: Invalid multi choice option 17"),
    ],
)
def test_plan_refusals(jcli: Jcli, spoil: Callable[[dict[str, Any]], object], cause: str) -> None:
    document = plan()
    spoil(document)
    ended = jcli.run(*NEW_PLAN, stdin=json.dumps(document))
    assert (ended.refusal, ended.cause) == ((1, BAD_PLAN), cause)


@pytest.mark.parametrize("token", ["zz", "00.ab", f"{'0' * 56}.{'ab' * 33}", f"{'0' * 56}.abc"])
def test_voting_tokens_that_are_none(jcli: Jcli, token: str) -> None:
    assert jcli.refused(*NEW_PLAN, stdin=json.dumps(plan() | {"voting_token": token})) == (1, BAD_PLAN)


def test_a_private_plan_needs_member_keys(jcli: Jcli) -> None:
    document = plan(private=True)
    message = "private vote plans `committee_public_keys` cannot be empty"
    cases: tuple[dict[str, list[str]], ...] = ({"committee_member_public_keys": []}, {})
    for keys in cases:
        del document["committee_member_public_keys"]
        document |= keys
        assert jcli.refused(*NEW_PLAN, stdin=json.dumps(document)) == (1, message)
        document["committee_member_public_keys"] = []


def test_no_plan_at_all(jcli: Jcli) -> None:
    assert jcli.refused(*NEW_PLAN, "missing.json") == (1, "I/O Error")
    for text in ("", "nonsense", "[]", "{"):
        assert jcli.refused(*NEW_PLAN, stdin=text) == (1, BAD_PLAN)


@pytest.mark.parametrize("prefix", ["ed25519_sk", "ed25519e_sk"])
def test_signing_for_block0(jcli: Jcli, prefix: str) -> None:
    secret = bytes(32) if prefix == "ed25519_sk" else bytes([8]) * 31 + b"\x48" + bytes(32)
    key = SigningKey(secret)
    jcli.write("wallet.sk", bech32.encode(prefix, secret))
    certificate = jcli.out(*NEW_PLAN, stdin=json.dumps(plan()))
    jcli.write("plan.cert", certificate)
    sign = ("certificate", "sign", "--certificate", "plan.cert", "--key", "wallet.sk")
    assert jcli.out(*sign, "--output", "plan.signedcert") == ""
    signed = jcli.read("plan.signedcert")
    assert jcli.out("certificate", "sign", "-k", "wallet.sk", stdin=certificate) == signed

    found, data = bech32.decode(signed, (bech32.BECH32M,))
    _, body = content(certificate)
    assert (found, data[1:-96], data[-96:-64]) == ("signedcert", body, key.public_key)
    assert verify(key.public_key, block0_certificate(body), data[-64:])
    plan_ids = {jcli.out("certificate", "show", "vote-plan-id", stdin=text) for text in (certificate, signed)}
    assert plan_ids == {blake2b_256(body).hex()}


def test_signing_refusals(jcli: Jcli) -> None:
    sign = ("certificate", "sign")
    jcli.write("plan.cert", jcli.out(*NEW_PLAN, stdin=json.dumps(plan())))
    jcli.write("wallet.sk", WALLET.secret.reveal())
    jcli.write("wallet.pk", WALLET.leader_id)
    jcli.write("vote.cert", jcli.out(*PUBLIC_VOTE, "--vote-plan-id", PLAN_ID, "--proposal-index", "0", "--choice", "0"))
    for words, message in (
        (["--certificate", "plan.cert"], "No signing keys specified (use -k or --key to specify)"),
        (["--certificate", "plan.cert", "--key", "wallet.pk"], "invalid private key"),
        (["--certificate", "plan.cert", "--key", "missing.sk"], "invalid input file path 'missing.sk'"),
        (
            ["--certificate", "plan.cert", "--key", "wallet.sk", "--key", "wallet.sk"],
            "expecting only one signing keys but got 2",
        ),
        (["--certificate", "missing.cert", "--key", "wallet.sk"], "invalid input file path 'missing.cert'"),
        (["--certificate", "wallet.pk", "--key", "wallet.sk"], "Invalid certificate"),
        (["--certificate", "vote.cert", "--key", "wallet.sk"], "vote cast certificate does not need a signature"),
    ):
        assert jcli.refused(*sign, *words) == (1, message)
    ended = jcli.run(*sign, "--certificate", "plan.cert", "--key", "wallet.pk")
    assert ended.cause == "Parsed bech32 has invalid HRP prefix 'ed25519_pk', expected 'ed25519_sk'"


def test_ids_of_what_is_no_plan(jcli: Jcli) -> None:
    show = ("certificate", "show", "vote-plan-id")
    vote = jcli.out(*PUBLIC_VOTE, "--vote-plan-id", PLAN_ID, "--proposal-index", "0", "--choice", "0")
    plan_text = jcli.out(*NEW_PLAN, stdin=json.dumps(plan()))
    for text, message in (
        (vote, "invalid certificate, expecting a vote plan one"),
        (plan_text[:-1], "Invalid bech32 data"),
        (WALLET.leader_id, "Invalid input, expected Signed Certificate or just Certificate"),
        (bech32.encode("cert", b"\x06\x00", bech32.BECH32M), "Invalid certificate bech32"),
    ):
        assert jcli.refused(*show, stdin=text) == (1, message)
    assert jcli.refused(*show, "--input", "missing") == (1, "invalid input file path 'missing'")


def test_printing(jcli: Jcli) -> None:
    vote = jcli.out(*PUBLIC_VOTE, "--vote-plan-id", PLAN_ID, "--proposal-index", "1", "--choice", "2")
    assert jcli.out("certificate", "print", stdin=vote) == (
        f"Certificate(VoteCast(VoteCast {{ vote_plan: $hash_ty(0x{PLAN_ID}), proposal_index: 1,"
        " payload: Public { choice: Choice(2) } }))"
    )
    document = plan() | {"proposals": plan()["proposals"][:1]}
    jcli.write("plan.cert", jcli.out(*NEW_PLAN, stdin=json.dumps(document)))
    assert jcli.out("certificate", "print", "plan.cert") == (
        "Certificate(VotePlan(VotePlan { vote_start: BlockDate { epoch: 1, slot_id: 0 },"
        " vote_end: BlockDate { epoch: 2, slot_id: 3 }, committee_end: BlockDate { epoch: 4, slot_id: 5 },"
        f" proposals: Proposals {{ proposals: [Proposal {{ external_id: $hash_ty(0x{'0' * 64}),"
        " options: Options { options_range: 0..3 }, action: OffChain }] }, payload_type: Public,"
        f" committee_public_keys: [], voting_token: TokenIdentifier {{ policy_hash: PolicyHash({[0] * 28}),"
        f" token_name: TokenName({list(b'power')}) }} }}))"
    )


def test_public_votes_and_tallies(jcli: Jcli) -> None:
    words = (*PUBLIC_VOTE, "--vote-plan-id", PLAN_ID, "--proposal-index", "3", "--choice", "15")
    assert jcli.out(*words, "--output", "vote.cert") == ""
    assert jcli.read("vote.cert") == jcli.out(*words)
    plan_id = bytes.fromhex(PLAN_ID)
    assert content(jcli.out(*words)) == (7, certificates_write.public_vote(plan_id, 3, 15))
    tally = jcli.out("certificate", "new", "vote-tally", "public", "--vote-plan-id", PLAN_ID)
    assert content(tally) == (8, certificates_write.public_tally(plan_id))


def test_private_votes(jcli: Jcli) -> None:
    jcli.write("election.pk", ELECTION_KEY)
    words = (*PRIVATE_VOTE, "--vote-plan-id", PLAN_ID, "--proposal-index", "1", "--options-size", "3")
    votes = [jcli.out(*words, "--choice", "2", "--key-path", "election.pk") for _ in range(2)]
    votes.append(jcli.out(*words, "--choice", "0", stdin=ELECTION_KEY))
    assert len({*votes}) == 3
    for text in votes:
        kind, data = content(text)
        assert kind == 7
        vote = decode_vote_cast(Fragment.from_bytes(fragment(FragmentKind.VOTE_CAST, block0_certificate(data))))
        assert (vote.plan_id, vote.proposal_index, vote.ballot_options) == (PLAN_ID, 1, 3)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            {"--vote-plan-id": "zz"},
            1,
            "error: Invalid value for '--vote-plan-id <vote-plan-id>': invalid hex encoding for digest value",
        ),
        (
            {"--vote-plan-id": "abcd"},
            1,
            (
                "error: Invalid value for '--vote-plan-id <vote-plan-id>':"
                " invalid digest size, expected 32 but received 2 bytes."
            ),
        ),
        (
            {"--proposal-index": "256"},
            1,
            ("error: Invalid value for '--proposal-index <proposal-index>': number too large to fit in target type"),
        ),
        ({"--choice": "yes"}, 1, "error: Invalid value for '--choice <choice>': invalid digit found in string"),
        ({"--choice": "-1"}, 1, "error: Found argument '-1' which wasn't expected, or isn't valid in this context"),
        ({"--choice": None}, 1, "error: The following required arguments were not provided:"),
        ({"--choice": "3"}, PANIC_CODE, "assertion failed: ith < size"),
        ({"--options-size": "0"}, PANIC_CODE, "assertion failed: size > 0"),
        ({"--key-path": "missing"}, 1, "I/O Error"),
        ({"--key-path": "member.pk"}, 1, "Invalid bech32 data"),
        ({"--output": "missing/vote.cert"}, 1, "invalid output file path 'missing/vote.cert'"),
    ],
)
def test_vote_refusals(jcli: Jcli, change: dict[str, str | None], code: int, message: str) -> None:
    jcli.write("election.pk", ELECTION_KEY)
    jcli.write("member.pk", MEMBER_KEYS[0])
    options: dict[str, str | None] = {
        "--vote-plan-id": PLAN_ID,
        "--proposal-index": "0",
        "--options-size": "3",
        "--choice": "1",
        "--key-path": "election.pk",
    }
    words = [word for name, value in (options | change).items() if value is not None for word in (name, value)]
    assert jcli.refused(*PRIVATE_VOTE, *words) == (code, message)
