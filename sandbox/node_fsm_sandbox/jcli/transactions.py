"""``jcli transaction``: from an empty transaction in a staging file to a fragment that can be posted."""

from node_fsm.chain.address import TEST_BIT
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.transactions import Input
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.crypto import blake2b_256
from node_fsm_sandbox.jcli import certificate_texts
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option, Values
from node_fsm_sandbox.jcli.certificate_files import read_input
from node_fsm_sandbox.jcli.chain_values import address, block_date
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.files import say
from node_fsm_sandbox.jcli.signing import one_signing_key, sign
from node_fsm_sandbox.jcli.staged import (
    FEES,
    STAGING,
    U64,
    certificate_of,
    expect,
    fee_of,
    load,
    sign_data_hash,
    store,
    unsigned,
)
from node_fsm_sandbox.jcli.staging import Stage, Staging

_ADDRESSES_WITHOUT_ACCOUNT = {
    0x03: "this is a UTxO address",
    0x04: "this is a UTxO address with delegation",
    0x07: "this is a script address",
}


def _new(values: Values) -> None:
    store(values, Staging())


def _add_account(values: Values) -> None:
    staging = load(values)
    kind, account = values["account"][0] & ~TEST_BIT, values["account"][1:]
    if kind in _ADDRESSES_WITHOUT_ACCOUNT:
        raise CommandError(f"invalid input account, {_ADDRESSES_WITHOUT_ACCOUNT[kind]}")
    expect(staging, Stage.BALANCING, "adding input to {} transaction is not valid")
    store(values, staging._replace(inputs=(*staging.inputs, Input(account, None, values["value"]))))


def _set_expiry_date(values: Values) -> None:
    staging = load(values)
    expect(staging, Stage.BALANCING, "cannot set expiration date in {} state")
    store(values, staging._replace(valid_until=values["blockdate"]))


def _finalize(values: Values) -> None:
    staging = load(values)
    expect(staging, Stage.BALANCING, "finalizing {} transaction is not valid")
    if staging.valid_until is None:
        raise CommandError("cannot finalize the payload without a validity end date set")
    if sum(item.value for item in staging.inputs) < fee_of(values, staging):
        raise CommandError("transaction finalization failed", "not enough input for making transaction")
    store(values, staging._replace(stage=Stage.FINALIZING))


def _data_for_witness(values: Values) -> None:
    say(sign_data_hash(load(values)).hex())


def _seal(values: Values) -> None:
    staging = load(values)
    expect(staging, Stage.FINALIZING, "sealing {} transaction is not valid")
    actual, expected = len(staging.witnesses), len(staging.inputs)
    if actual != expected:
        raise CommandError(f"invalid number of witnesses in transaction to seal: {actual}, should be {expected}")
    store(values, staging._replace(stage=Stage.SEALED))


def _auth(values: Values) -> None:
    staging = load(values)
    if not values["key"]:
        raise CommandError("No signing keys specified (use -k or --key to specify)")
    try:
        texts = [read_input(path) for path in values["key"]]
    except CommandError as error:
        raise CommandError(f"certificate error {error.message}") from None
    expect(staging, Stage.SEALED, "sealing {} transaction is not valid")
    certificate = certificate_of(staging)
    if certificate is None or not certificate.needs_auth:
        raise CommandError("transaction type doesn't need payload authentification")
    try:
        key = one_signing_key(texts)
    except CommandError as error:
        raise CommandError(f"certificate error {error.message}") from None
    signed = sign(certificate, key, unsigned(staging) + b"".join(staging.witnesses))
    store(values, staging._replace(stage=Stage.AUTHED, signed_certificate=signed.text()))


def _to_message(values: Values) -> None:
    say(_fragment(load(values)).hex())


def _fragment_id(values: Values) -> None:
    say(blake2b_256(_fragment(load(values))).hex())


def _fragment(staging: Staging) -> bytes:
    certificate, proof = certificate_of(staging), b""
    if staging.signed_certificate:
        proof = certificate_texts.read_signed(staging.signed_certificate).proof
    else:
        expect(staging, Stage.SEALED, "cannot get message from transaction in {} state")
        if certificate and certificate.needs_auth:
            raise CommandError("transaction type need payload authentification")
    kind = certificate.fragment_kind if certificate else FragmentKind.TRANSACTION
    return chain_write.fragment(kind, unsigned(staging) + b"".join(staging.witnesses) + proof)


COMMANDS = {
    "add-account": Command(
        _add_account, (STAGING, Argument("ACCOUNT", address, required=True), Argument("VALUE", U64, required=True))
    ),
    "add-certificate": "add_certificate:COMMAND",
    "add-witness": "witnesses:ADD",
    "auth": Command(_auth, (STAGING, Option("key", "signing-keys", short="k", many=True))),
    "data-for-witness": Command(_data_for_witness, (STAGING,)),
    "finalize": Command(_finalize, (STAGING, *FEES)),
    "fragment-id": Command(_fragment_id, (STAGING,)),
    "info": "transaction_info:COMMAND",
    "make-witness": "witnesses:MAKE",
    "new": Command(_new, (STAGING,)),
    "seal": Command(_seal, (STAGING,)),
    "set-expiry-date": Command(_set_expiry_date, (STAGING, Argument("BLOCKDATE", block_date, required=True))),
    "to-message": Command(_to_message, (STAGING,)),
}
