"""``jcli transaction make-witness`` and ``add-witness``: the signatures of those who pay."""

from node_fsm.chain import bech32
from node_fsm.chain.limits import LANES
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.errors import CommandError, PanicError
from node_fsm_sandbox.jcli.keys import read_signing_key
from node_fsm_sandbox.jcli.staged import STAGING, U64, expect, load, store
from node_fsm_sandbox.jcli.staging import Stage
from node_fsm_sandbox.jcli.values import ANY_VARIANT, block_hash, digest, unsigned

_PREFIX = "witness"


def _make_witness(values: Values) -> None:
    line = files.read_line(values["secret"], lambda reason: _secret_error(values, "open", "key file", reason))
    try:
        key = read_signing_key(line)
    except ValueError as error:
        raise _secret_error(values, "decode", "file", str(error)) from None
    counter, lane = values["account_spending_counter"], values["account_spending_counter_lane"] or 0
    if counter is None:
        raise CommandError("making account witness requires passing spending counter")
    if lane > LANES:
        raise CommandError(f"invalid account spending counter lane: max {LANES}, actual {lane}")
    if lane == LANES:
        # jcli's own check lets the lane after the last one pass, to the assertion behind it.
        raise PanicError("assertion failed: lane < (1 << LANES_BITS)")
    if counter >= chain_write.COUNTERS:
        raise PanicError("assertion failed: counter < (1 << UNLANES_BITS)")
    both = chain_write.spending_counter(lane, counter)
    message = chain_write.account_witness_message(values["genesis_block_hash"], values["transaction_id"], both)
    witness = bech32.encode(_PREFIX, chain_write.account_witness(both, key.sign(message)))

    def refusal(reason: str) -> CommandError:
        return CommandError(f"could not write witness file '{values['output']}'", reason)

    files.write(values["output"], witness.encode() + b"\n", refusal)


def _add_witness(values: Values) -> None:
    staging = load(values)
    path = values["witness"]
    line = files.read_line(path, lambda reason: CommandError(f"could not read witness file '{path}'", reason))
    try:
        prefix, witness = bech32.decode(line, ANY_VARIANT)
    except ValueError as error:
        raise CommandError(f"could not parse Bech32 in witness file '{path}'", str(error)) from None
    if prefix != _PREFIX:
        raise CommandError(f"invalid Bech32 prefix in witness file, expected '{_PREFIX}', found '{prefix}' in '{path}'")
    if len(witness) != len(chain_write.account_witness(0, bytes(64))):
        raise CommandError(f"could not parse data in witness file '{path}'", "failed to fill whole buffer")
    expect(staging, Stage.FINALIZING, "adding witness to {} transaction is not valid")
    count, most = len(staging.witnesses), len(staging.inputs)
    if count >= most:
        raise CommandError(f"too many witnesses in transaction to add another: {count}, maximum is {most}")
    store(values, staging._replace(witnesses=(*staging.witnesses, witness)))


def _secret_error(values: Values, action: str, what: str, reason: str) -> CommandError:
    cause = f"could not {action} secret {what} '{values['secret'] or ''}': {reason}"
    return CommandError(f"could not process secret file '{cause}'", cause, reason)


def _witness_type(text: str) -> str:
    if text in ("utxo", "legacy-utxo"):
        raise ValueError("the sandbox makes witnesses of accounts only")
    if text != "account":
        raise ValueError("Invalid witness type, expected `utxo', `legacy-utxo' or `account'")
    return text


MAKE = Command(
    _make_witness,
    (
        Argument("TRANSACTION_ID", digest, required=True),
        Argument("output"),
        Option("type", "witness-type", _witness_type, required=True),
        Option("genesis-block-hash", "genesis-block-hash", block_hash, required=True),
        Option("account-spending-counter", "account-spending-counter", unsigned(32)),
        Option("account-spending-counter-lane", "account-spending-counter-lane", U64),
        Argument("secret"),
    ),
)
ADD = Command(_add_witness, (STAGING, Argument("witness", required=True)))
