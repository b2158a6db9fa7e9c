"""Block 0: the JSON that jcli encodes, written as a stream, and the check of what jcli made of it."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, repeat
from pathlib import Path
from struct import pack
from typing import Any

from node_fsm.block0.template import Template
from node_fsm.chain.address import (
    ACCOUNT_KIND,
    TEST_BIT,
    account_address,
    ed25519_public_key,
    parse_account_address,
)
from node_fsm.chain.block0 import Block0Summary, summarise
from node_fsm.chain.certificates import MintedToken
from node_fsm.chain.errors import ChainDataError
from node_fsm.chain.limits import MAX_OUTPUTS
from node_fsm.chain.transactions import Output
from node_fsm.core.chain_time import ChainClock
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import NodeRow

ACCOUNT_FUND = 1_000_000_000
"""What leader 0's and each committee member's account gets, without a token: no voting power."""

MAX_BLOCK0_SIZE = 195_000_000
"""Bytes. The base64 of a larger block 0 does not fit into a JSON string in the database."""

Amounts = AsyncIterator[list[tuple[str, int]]]
"""Batches of (account address, units), in the order of the block."""

# The first 48 of an address's 53 symbols are exactly its first 30 bytes: so many can be read of many at once.
_PREFIX, _HEAD_SYMBOLS, _HEAD_SIZE = 3, 48, 30
_HASHED_AT_ONCE = 1024
_SYMBOLS_TO_DIGITS = bytes.maketrans(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l", b"0123456789abcdefghijklmnopqrstuv")


@dataclass(frozen=True, slots=True)
class Entries:
    """Funds, or the holders of one token: how many, their sum, and a digest of them in order.

    The digest covers the values and the first 30 of the 33 bytes of each address.
    """

    count: int
    value: int
    digest: str

    def __str__(self) -> str:
        return f"{self.count} entries of {self.value} in all, digest {self.digest}"


@dataclass(frozen=True, slots=True)
class GenesisContents:
    """What a block 0 must say: the configuration as jcli prints it, funds, tokens by id, plan ids in order."""

    configuration: Mapping[str, Any]
    funds: Entries
    tokens: Mapping[str, Entries]
    plan_ids: tuple[str, ...]


def leader_ids(nodes: Sequence[NodeRow]) -> tuple[str, ...]:
    """The leaders in the order of their turns, which is that of their hostnames."""
    return tuple(node.leader_id for node in sorted(nodes, key=lambda node: node.hostname) if node.leader_id)


def signing_accounts(leader_id: str, committees: Sequence[str], template: Template) -> tuple[str, ...]:
    """The addresses of those who sign tallies: leader 0 (bech32 public key) and the committee (hex ones)."""
    keys = [ed25519_public_key(leader_id), *map(bytes.fromhex, committees)]
    return tuple(account_address(key, production=template.production) for key in keys)


def block0_size(
    *, leaders: int, committees: int, funds: int, tokens: Mapping[str, int], certificates: Sequence[str] = ()
) -> int:
    """The bytes of a block 0 with so many leaders, committee ids and funds, and holders by token id."""
    configuration = 199 + 34 * (leaders + committees)
    transactions = -(-funds // MAX_OUTPUTS)
    minted = sum(holders * (58 + len(_token_name(token_id))) for token_id, holders in tokens.items())
    signed = sum(15 + (len(certificate) - len("signedcert1") - 6) * 5 // 8 for certificate in certificates)
    return configuration + 16 * transactions + 41 * funds + minted + signed


def size_problem(size: int) -> str | None:
    """What is wrong with a block 0 of *size* bytes and what to do about it, if anything."""
    if size <= MAX_BLOCK0_SIZE:
        return None
    return (
        f"block 0 would have {size} bytes, but at most {MAX_BLOCK0_SIZE} can be published: have fewer voters,"
        " or raise voting_power_unit, which leaves out voters with less"
    )


async def write_genesis(
    write: Callable[[bytes], object],
    *,
    template: Template,
    clock: ChainClock,
    leaders: Sequence[str],
    committees: Sequence[str],
    accounts: Sequence[str],
    funds: Amounts,
    tokens: Sequence[tuple[str, Amounts]],
    certificates: Mapping[str, str],
) -> GenesisContents:
    """Give *write*, piece by piece, the JSON from which jcli encodes block 0.

    *leaders* are bech32 and *committees* hex public keys; *accounts* are addresses that get ACCOUNT_FUND and no
    token; *tokens* go by token id, *certificates*, signed, by plan id. The same inputs give the same bytes, and
    memory does not grow with the voters. PermanentError ``VoterAddressInvalid``, ``Block0TooLarge``.
    """
    configuration = template.configuration() | {
        "block0_date": int(clock.start.timestamp()),
        "consensus_leader_ids": list(leaders),
    }
    if committees:
        configuration["committees"] = list(committees)
    separators = chain([""], repeat(",\n"))

    def entry(text: str) -> None:
        write((next(separators) + text).encode("ascii"))

    write(f'{{"blockchain_configuration":{json.dumps(configuration)},\n"initial":[\n'.encode("ascii"))
    funded = await _write_entries(entry, '{"fund":[%s]}', _after_accounts(accounts, funds))
    minted = {}
    for token_id, holders in tokens:
        minted[token_id] = await _write_entries(entry, f'{{"token":{{"token_id":"{token_id}","to":[%s]}}}}', holders)
    for certificate in certificates.values():
        entry(json.dumps({"cert": certificate}))
    write(b"]}\n")
    size = block0_size(
        leaders=len(leaders),
        committees=len(committees),
        funds=funded.count,
        tokens={token_id: holders.count for token_id, holders in minted.items()},
        certificates=list(certificates.values()),
    )
    if problem := size_problem(size):
        raise PermanentError("Block0TooLarge", problem)
    return GenesisContents(configuration, funded, minted, tuple(certificates))


def check_block0(block0: Path, contents: GenesisContents) -> Block0Summary:
    """Read what jcli made, and raise PermanentError ``Block0Differs`` unless it says exactly *contents*.

    Takes seconds of CPU for hundreds of thousands of voters: call it in a thread.
    """
    production = contents.configuration["discrimination"] == "production"
    kind = bytes([ACCOUNT_KIND if production else ACCOUNT_KIND | TEST_BIT])
    funds = _Digest()
    tokens: defaultdict[str, _Digest] = defaultdict(_Digest)

    def on_fund(output: Output) -> None:
        funds.add_one(output.address[:_HEAD_SIZE], output.value)

    def on_token(token: MintedToken) -> None:
        tokens[token.token_id].add_one((kind + token.account)[:_HEAD_SIZE], token.value)

    try:
        with block0.open("rb") as stream:
            summary = summarise(stream, on_fund=on_fund, on_token=on_token)
    except ChainDataError as error:
        raise PermanentError("Block0Differs", f"{block0} is not a block 0: {error}") from error
    found = {token_id: digest.entries() for token_id, digest in tokens.items()}
    differences = [
        *_differences("configuration", contents.configuration, summary.configuration),
        *_differences("initial", {"fund": contents.funds}, {"fund": funds.entries()}),
        *_differences("initial token", {name: asked for name, asked in contents.tokens.items() if asked.count}, found),
        *_differences(
            "initial cert", dict(enumerate(contents.plan_ids)), dict(enumerate(p.id for p in summary.vote_plans))
        ),
        *_differences("initial", {}, summary.others),
    ]
    if differences:
        raise PermanentError(
            "Block0Differs",
            f"{block0} is not what jcli was asked to encode, so it is not published: {'; '.join(differences)}. The"
            " election is not at fault; check that NODE_FSM_JCLI_PATH names the jcli of the node's version",
        )
    return summary


def _differences(what: str, asked: Mapping[Any, Any], found: Mapping[Any, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*asked, *found]):
        if asked.get(name) != found.get(name):
            yield f"{what} {name} is {found.get(name)} instead of {asked.get(name)}"


async def _write_entries(entry: Callable[[str], object], form: str, amounts: Amounts) -> Entries:
    digest = _Digest()
    async for chunk in _chunks(amounts):
        digest.add(_address_heads([address for address, _ in chunk]), [value for _, value in chunk])
        entry(form % ",".join([f'{{"address":"{address}","value":{value}}}' for address, value in chunk]))
    return digest.entries()


async def _after_accounts(accounts: Sequence[str], funds: Amounts) -> Amounts:
    yield [(address, ACCOUNT_FUND) for address in dict.fromkeys(accounts)]
    async for batch in funds:
        yield batch


async def _chunks(amounts: Amounts) -> Amounts:
    """The same amounts, MAX_OUTPUTS at a time, so that how they were read leaves no trace in block 0."""
    waiting: list[tuple[str, int]] = []
    async for batch in amounts:
        waiting += batch
        whole = len(waiting) - len(waiting) % MAX_OUTPUTS
        for start in range(0, whole, MAX_OUTPUTS):
            yield waiting[start : start + MAX_OUTPUTS]
        del waiting[:whole]
    if waiting:
        yield waiting


class _Digest:
    """Counts, sums and hashes entries in their order; how many are added at a time leaves no trace."""

    def __init__(self) -> None:
        self._count = self._value = 0
        self._heads = blake2b(digest_size=16)
        self._values = blake2b(digest_size=16)
        self._waiting: list[tuple[bytes, int]] = []

    def add_one(self, head: bytes, value: int) -> None:
        """Add an entry; many of them are hashed at a time, which takes half as long."""
        self._waiting.append((head, value))
        if len(self._waiting) == _HASHED_AT_ONCE:
            self._hash_waiting()

    def add(self, heads: bytes, values: Sequence[int]) -> None:
        """Add entries; *heads* are the first _HEAD_SIZE bytes of each address, one after the other."""
        self._count += len(values)
        self._value += sum(values)
        self._heads.update(heads)
        self._values.update(pack(f"<{len(values)}Q", *values))

    def _hash_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.add(b"".join([head for head, _ in waiting]), [value for _, value in waiting])

    def entries(self) -> Entries:
        """All that were added."""
        self._hash_waiting()
        return Entries(self._count, self._value, self._heads.hexdigest() + self._values.hexdigest())


def _address_heads(addresses: list[str]) -> bytes:
    """The first _HEAD_SIZE bytes of each address; decoding them one by one would take ten times as long."""
    symbols = "".join([address[_PREFIX : _PREFIX + _HEAD_SYMBOLS] for address in addresses])
    with suppress(ValueError):
        if len(symbols) == _HEAD_SYMBOLS * len(addresses):
            return int(symbols.encode().translate(_SYMBOLS_TO_DIGITS), 32).to_bytes(_HEAD_SIZE * len(addresses))
    wrong = next(address for address in addresses if not _is_address(address))
    raise PermanentError(
        "VoterAddressInvalid", f"voter.address {wrong!r} is not an account's address; import the voters again"
    )


def _is_address(text: str) -> bool:
    try:
        parse_account_address(text)
    except ValueError:
        return False
    return text.islower()


def _token_name(token_id: str) -> bytes:
    return bytes.fromhex(token_id.partition(".")[2])
