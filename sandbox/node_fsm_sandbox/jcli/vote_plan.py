"""``jcli certificate new vote-plan``: from the file that describes a vote plan."""

from node_fsm.chain.address import MEMBER_KEY_PREFIX
from node_fsm.chain.certificates import OFF_CHAIN, PlanProposal, VoteAction
from node_fsm.chain.limits import MAX_OPTIONS, MAX_PROPOSALS
from node_fsm.core.block_date import BlockDate
from node_fsm.core.payload_type import PayloadType
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Argument, Command, Values
from node_fsm_sandbox.jcli.certificate_files import OUTPUT, write
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.chain_values import block_date
from node_fsm_sandbox.jcli.committee_values import element_key
from node_fsm_sandbox.jcli.documents import DocumentError, Node, parse, token_id
from node_fsm_sandbox.jcli.errors import CommandError, PanicError
from node_fsm_sandbox.jcli.values import digest

_PAYLOAD_TYPES = {str(kind): kind for kind in PayloadType}
_ACTIONS = {"off_chain": OFF_CHAIN, "treasury": VoteAction("treasury"), "parameters": VoteAction("parameters")}


def _new_vote_plan(values: Values) -> None:
    data = files.read(values["input"], lambda reason: CommandError("I/O Error", reason))
    try:
        content = _vote_plan(parse(data))
    except DocumentError as error:
        raise CommandError("invalid vote plan certificate configuration", str(error)) from None
    write(values["output"], Certificate(Kind.VOTE_PLAN, content))


def _vote_plan(root: Node) -> bytes:
    """The content of the certificate that *root* describes; DocumentError, CommandError, PanicError."""
    payload_type = root.field("payload_type").choice(_PAYLOAD_TYPES)
    vote_start, vote_end, committee_end = (
        _date(root.field(name)) for name in ("vote_start", "vote_end", "committee_end")
    )
    proposals = [_proposal(item) for item in root.field("proposals").items()]
    if len(proposals) > MAX_PROPOSALS:
        raise PanicError("too many proposals")
    keys = root.optional("committee_member_public_keys")
    member_keys = [_member_key(item) for item in keys.items()] if keys else []
    token = root.field("voting_token").convert(token_id)
    if payload_type is PayloadType.PRIVATE and not member_keys:
        raise CommandError("private vote plans `committee_public_keys` cannot be empty")
    dates = (vote_start, vote_end, committee_end)
    return certificates_write.vote_plan(payload_type, dates, proposals, member_keys, token)


def _date(node: Node) -> BlockDate:
    if isinstance(node.value, dict):
        return BlockDate(node.field("epoch").number(32), node.field("slot_id").number(32))
    if node.is_number():
        raise node.invalid_type("string or map")
    return node.convert(block_date)


def _proposal(node: Node) -> PlanProposal:
    external_id = node.field("external_id").convert(digest)
    options = node.field("options")
    if not 1 <= options.number(8) <= MAX_OPTIONS:
        raise options.error(f"Invalid multi choice option {options.number(8)}")
    return PlanProposal(external_id.hex(), options.number(8), _action(node.field("action")))


def _action(node: Node) -> VoteAction:
    action = node.choice(_ACTIONS)
    if action is not OFF_CHAIN:
        raise node.error(f"the sandbox has no votes on `{action.kind}`")
    return action


def _member_key(node: Node) -> bytes:
    def read(text: str) -> bytes:
        try:
            return element_key(text, MEMBER_KEY_PREFIX)
        except ValueError as error:
            message = f"Invalid public key with bech32 representation {text}, Error {error}"
            raise ValueError(message) from None

    return node.convert(read)


COMMAND = Command(_new_vote_plan, (Argument("input"), OUTPUT))
