"""``jcli rest v0 message post``: posting a fragment to a node."""

from node_fsm.chain import certificates, transactions
from node_fsm.chain.errors import ChainDataError
from node_fsm.chain.fragments import Fragment, FragmentKind
from node_fsm_sandbox.jcli import files, rest_client
from node_fsm_sandbox.jcli.arguments import Command, Option, Values
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.rest_client import HOST
from node_fsm_sandbox.jcli.values import from_hex

_READERS = {
    FragmentKind.TRANSACTION: transactions.decode_transaction,
    FragmentKind.VOTE_PLAN: certificates.decode_vote_plan,
    FragmentKind.VOTE_CAST: certificates.decode_vote_cast,
    FragmentKind.VOTE_TALLY: certificates.decode_vote_tally,
}


def _post(values: Values) -> None:
    line = files.read_line(values["file"], lambda reason: CommandError("could not read input file", reason))
    try:
        fragment = from_hex(line)
    except ValueError as error:
        raise CommandError("input hex encoding is not valid", str(error)) from None
    _check_fragment(fragment)
    files.say(rest_client.request(values["host"], "v0", "message", body=fragment).decode())


def _check_fragment(raw: bytes) -> None:
    try:
        fragment = Fragment.from_bytes(raw)
        if fragment.kind in _READERS:
            _READERS[fragment.kind](fragment)
    except ChainDataError as error:
        raise CommandError("input is not a valid fragment", str(error)) from None


COMMAND = Command(_post, (HOST, Option("file", "file", short="f")))
