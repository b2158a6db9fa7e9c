"""The certificates of private plans: an encrypted vote, and the opened tally."""

from node_fsm.chain.address import ELECTION_KEY_PREFIX
from node_fsm_sandbox.formats import ballots
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.jcli import files, plan_status
from node_fsm_sandbox.jcli.arguments import Command, Option, Values
from node_fsm_sandbox.jcli.certificate_files import OUTPUT, write
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.certificates import CHOICE, PLAN_ID, PROPOSAL
from node_fsm_sandbox.jcli.committee_values import element_key
from node_fsm_sandbox.jcli.errors import CommandError, PanicError
from node_fsm_sandbox.jcli.values import block_hash, unsigned


def _vote(values: Values) -> None:
    line = files.read_line(values["key_path"], lambda reason: CommandError("I/O Error", reason))
    try:
        key = element_key(line, ELECTION_KEY_PREFIX)
    except ValueError as error:
        raise CommandError("Invalid bech32 data", str(error)) from None
    options, choice, plan_id = values["options_size"], values["choice"], values["vote_plan_id"]
    if not options:
        raise PanicError("assertion failed: size > 0")
    if choice >= options:
        raise PanicError("assertion failed: ith < size")
    ballot = ballots.encrypt_vote(plan_id, key, options, choice)
    content = certificates_write.private_vote(plan_id, values["proposal_index"], ballot)
    write(values["output"], Certificate(Kind.VOTE_CAST, content))


def _tally(values: Values) -> None:
    plan = plan_status.read_plan(values["vote_plan"], values["vote_plan_id"])
    shares = plan_status.read_merged_shares(values["shares"], len(plan["proposals"]), 1)
    results = []
    for proposal in plan["proposals"]:
        opened = plan_status.decrypted_results(proposal)
        if opened is None:
            found = "public tally" if plan_status.is_public(proposal) else "private encrypted tally"
            raise CommandError(f"expected decrypted private tally, found {found}")
        results.append(opened)
    if any(len({len(share) for share in members}) > 1 for members in shares):
        raise CommandError("decrypt_shares in the proposal should have the same options amount")
    content = certificates_write.private_tally(bytes.fromhex(plan["id"]), list(zip(shares, results, strict=True)))
    write(values["output"], Certificate(Kind.VOTE_TALLY, content))


VOTE = Command(
    _vote,
    (
        PLAN_ID,
        PROPOSAL,
        Option("options-size", "options", unsigned(64), required=True),
        CHOICE,
        Option("key-path", "election-key-path"),
        OUTPUT,
    ),
)
TALLY = Command(
    _tally,
    (
        Option("shares", "shares", required=True),
        Option("vote-plan", "vote-plan", required=True),
        Option("vote-plan-id", "vote-plan-id", block_hash),
        OUTPUT,
    ),
)
