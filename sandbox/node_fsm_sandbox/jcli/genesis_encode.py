"""``jcli genesis encode``: from the file that describes a block 0."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from node_fsm.chain.address import ACCOUNT_KIND, TEST_BIT
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.limits import MAX_OUTPUTS
from node_fsm.chain.transactions import Output
from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.formats import chain as chain_write
from node_fsm_sandbox.formats.configuration import configuration as write_configuration
from node_fsm_sandbox.jcli import certificate_texts, genesis_files
from node_fsm_sandbox.jcli.arguments import Command, Values
from node_fsm_sandbox.jcli.block0_check import Block0Check
from node_fsm_sandbox.jcli.certificate_check import checked
from node_fsm_sandbox.jcli.certificate_texts import Certificate
from node_fsm_sandbox.jcli.chain_values import address
from node_fsm_sandbox.jcli.documents import DocumentError, Node, parse, token_id
from node_fsm_sandbox.jcli.errors import CommandError, PanicError
from node_fsm_sandbox.jcli.genesis_configuration import configuration

_SINGLE_KIND = 0x03
_NO_POLICY = "00" * 28
_VARIANTS = ("fund", "cert", "legacy_fund", "token")


class Fund(NamedTuple):
    """Money given to addresses."""

    outputs: tuple[Output, ...]


class Token(NamedTuple):
    """Tokens given to accounts."""

    token_id: str
    to: tuple[Output, ...]


Initial = Fund | Token | Certificate


class Genesis(NamedTuple):
    """What a block 0 is to say."""

    configuration: dict[str, Any]
    initial: tuple[Initial, ...]


def _encode(values: Values) -> None:
    data = genesis_files.read(values)
    try:
        genesis = _genesis(parse(data))
    except DocumentError as error:
        raise CommandError("genesis file corrupted", str(error)) from None
    genesis_files.write(values, _block0(genesis))


def _genesis(root: Node) -> Genesis:
    """What the file says; DocumentError."""
    root.only(("blockchain_configuration", "initial"))
    chain = configuration(root.field("blockchain_configuration"))
    initial = root.optional("initial")
    return Genesis(chain, tuple(map(_initial, initial.items())) if initial else ())


def _block0(genesis: Genesis) -> bytes:
    """The block; PanicError, and CommandError when no ledger would begin with it."""
    fragments = [write_configuration(genesis.configuration)]
    for entry in genesis.initial:
        fragments += _fragments(entry)
    check = Block0Check.of(genesis.configuration)
    for entry in genesis.initial:
        match entry:
            case Fund(outputs):
                check.fund(outputs)
            case Token(token, to):
                for output in to:
                    check.token(token, output.address[1:], output.value)
            case Certificate():
                check.certificate(entry)
    check.end()
    return chain_write.block0(fragments)


def _initial(node: Node) -> Initial:
    variant, value = node.variant(_VARIANTS)
    match variant:
        case "fund":
            return Fund(_outputs(value, exact=True))
        case "token":
            return Token(value.field("token_id").convert(token_id), _outputs(value.field("to"), exact=False))
        case "cert":
            return value.convert(_certificate)
        case _:
            raise value.error("the sandbox has no funds of an older chain")


def _certificate(text: str) -> Certificate:
    return checked(certificate_texts.read_signed(text))


def _outputs(node: Node, *, exact: bool) -> tuple[Output, ...]:
    outputs = []
    for item in node.items():
        if exact:
            item.only(("address", "value"))
        outputs.append(Output(item.field("address").convert(address), item.field("value").number(64)))
    return tuple(outputs)


def _fragments(entry: Initial) -> Iterator[bytes]:
    match entry:
        case Fund(outputs):
            if not outputs:
                raise PanicError("cannot create a singular transaction fragment with 0 output")
            if len(outputs) > MAX_OUTPUTS:
                raise PanicError(
                    f"cannot create a singular transaction fragment with more than {MAX_OUTPUTS} outputs"
                    f" ({len(outputs)} requested). spread outputs to another fragment"
                )
            yield chain_write.fund(outputs)
        case Token(token, to):
            yield from (_minted(token, output) for output in to)
        case Certificate(content=content, proof=proof):
            unsigned = chain_write.block0_certificate(content)
            yield chain_write.fragment(entry.fragment_kind, unsigned + proof)


def _minted(token: str, output: Output) -> bytes:
    policy_hash, _, name = token.partition(".")
    if output.address[0] & ~TEST_BIT not in (ACCOUNT_KIND, _SINGLE_KIND):
        raise PanicError("called `Result::unwrap()` on an `Err` value: TokenInvalidAddressType")
    if policy_hash != _NO_POLICY:
        raise PanicError("called `Result::unwrap()` on an `Err` value: TokenIdentifierMintingPolicyHashMismatch")
    content = certificates_write.minted_token(bytes.fromhex(name), output.address[1:], output.value)
    return chain_write.fragment(FragmentKind.MINT_TOKEN, chain_write.block0_certificate(content))


COMMAND = Command(_encode, (genesis_files.INPUT, genesis_files.OUTPUT))
