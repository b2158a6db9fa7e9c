"""jcli: keys, vote plans, block 0 and transactions. Secrets reach it on standard input only."""

import json
from collections.abc import Sequence
from pathlib import Path

from node_fsm.chain import bech32
from node_fsm.chain.address import (
    COMMUNICATION_KEY_PREFIX,
    COMMUNICATION_SECRET_PREFIX,
    ELECTION_KEY_PREFIX,
    MEMBER_KEY_PREFIX,
    MEMBER_SECRET_PREFIX,
)
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.committee import Share, read_share
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import Payer, SignedFragment
from node_fsm.core.secret import Secret
from node_fsm.programs.command import run_command
from node_fsm.storage.files import on_disk, put_in_place, scratch_directory, unfinished, write_private

SETTING = "NODE_FSM_JCLI_PATH"

_STDIN = "/dev/stdin"

_COMMUNICATION_KEY = ("votes", "committee", "communication-key")
_MEMBER_KEY = ("votes", "committee", "member-key")


class Jcli:
    """The executable at *path*.

    A call that takes longer than *timeout* seconds fails; *genesis_timeout* is for those that read a whole block 0.
    Every method raises PermanentError when jcli is missing or refuses, with what it says, and TemporaryError when
    it takes too long. Files are written under a temporary name and renamed, readable by their owner only.
    """

    def __init__(self, path: str, timeout: float = 30.0, genesis_timeout: float = 600.0) -> None:
        self._path = path
        self._timeout = timeout
        self._genesis_timeout = genesis_timeout

    async def version(self) -> str:
        """The full version, with the source's revision."""
        return await self._text("--full-version")

    async def new_signing_key(self) -> Secret:
        """A new ed25519 key, by which a leader signs its blocks."""
        return Secret(await self._text("key", "generate", "--type", "ed25519"))

    async def public_key(self, secret: Secret) -> str:
        """The bech32 public key of a bech32 secret key."""
        return await self._text("key", "to-public", "--input", _STDIN, stdin=secret)

    async def key_bytes(self, public_key: str) -> str:
        """The hex of a bech32 public key: a REST account id, or a committee id."""
        return await self._text("key", "to-bytes", stdin=Secret(public_key))

    async def new_vote_plan(self, plan: Path, certificate: Path) -> None:
        """Make the certificate of a vote plan given as JSON."""
        await self._file(certificate, "certificate", "new", "vote-plan", str(plan))

    async def sign_certificate(self, certificate: Path, secret: Secret, signed: Path) -> None:
        """Sign a certificate for block 0."""
        await self._file(
            signed, "certificate", "sign", "--certificate", str(certificate), "--key", _STDIN, stdin=secret
        )

    async def vote_plan_id(self, certificate: Path) -> str:
        """The hex id of the plan in a certificate, signed or not."""
        return await self._text("certificate", "show", "vote-plan-id", "--input", str(certificate))

    async def public_tally_certificate(self, plan_id: str) -> str:
        """The certificate that asks the chain to tally a public plan."""
        return await self._text("certificate", "new", "vote-tally", "public", "--vote-plan-id", plan_id)

    async def new_communication_key(self) -> Secret:
        """A new communication key of a committee member, by which the members agree on their keys."""
        return Secret(await self._key(COMMUNICATION_SECRET_PREFIX, *_COMMUNICATION_KEY, "generate"))

    async def communication_public_key(self, secret: Secret) -> str:
        """The public half of a communication key."""
        return await self._key(
            COMMUNICATION_KEY_PREFIX, *_COMMUNICATION_KEY, "to-public", "--input", _STDIN, stdin=secret
        )

    async def new_member_key(self, threshold: int, crs: str, index: int, communication_keys: Sequence[str]) -> Secret:
        """A new key of the member with *index*, over the public communication keys of all members in order."""
        return Secret(
            await self._key(
                MEMBER_SECRET_PREFIX,
                *(*_MEMBER_KEY, "generate", "--threshold", str(threshold), "--crs", crs, "--index", str(index)),
                *("--keys", *communication_keys),
            )
        )

    async def member_public_key(self, secret: Secret) -> str:
        """The public half of a member's key, by which vote plans name the member."""
        return await self._key(MEMBER_KEY_PREFIX, *_MEMBER_KEY, "to-public", "--input", _STDIN, stdin=secret)

    async def election_key(self, member_keys: Sequence[str]) -> str:
        """The public key that private votes are encrypted with, from the public keys of all members in any order."""
        return await self._key(ELECTION_KEY_PREFIX, "votes", "election-key", "--keys", *member_keys)

    async def decryption_shares(self, plans: Path, plan_id: str, secret: Secret) -> Share:
        """A member's share of a plan; *plans* is the node's account of the plans after voting, before any tally."""
        printed = await self._text(
            *("votes", "tally", "decryption-shares", "--vote-plan", str(plans), "--vote-plan-id", plan_id),
            *("--key", _STDIN),
            stdin=secret,
        )
        return _share(printed)

    async def merge_shares(self, members: Sequence[Path], merged: Path) -> None:
        """Put the members' shares of a plan together into *merged*; they are in the order of the plan's member keys."""
        await self._printed(merged, "votes", "tally", "merge-shares", *map(str, members))

    async def decrypt_results(
        self, plans: Path, plan_id: str, merged: Path, result: Path, *, members: int, timeout: float
    ) -> None:
        """Write the plan with its decrypted votes to *result*, in at most *timeout* seconds."""
        await self._printed(
            result,
            *("votes", "tally", "decrypt-results", "--vote-plan", str(plans), "--vote-plan-id", plan_id),
            *("--shares", str(merged), "--threshold", str(members), "--output-format", "json"),
            timeout=timeout,
        )

    async def private_tally_certificate(self, plan_id: str, result: Path, merged: Path) -> str:
        """The certificate that puts a private plan's *result*, with the *merged* shares that prove it, on the chain."""
        return await self._text(
            *("certificate", "new", "vote-tally", "private", "--vote-plan", str(result), "--vote-plan-id", plan_id),
            *("--shares", str(merged)),
        )

    async def genesis_encode(self, genesis: Path, block0: Path) -> None:
        """Encode block 0 from *genesis*, a JSON file; jcli checks the whole ledger."""
        await self._file(block0, "genesis", "encode", "--input", str(genesis), timeout=self._genesis_timeout)

    async def genesis_hash(self, block0: Path) -> str:
        """The hex hash of a block 0 file."""
        return await self._text("genesis", "hash", "--input", str(block0), timeout=self._genesis_timeout)

    async def transaction(
        self,
        certificate: str,
        payer: Payer,
        *,
        block0_hash: str,
        expiry: BlockDate,
        directory: Path,
        authority: Secret | None = None,
    ) -> SignedFragment:
        """A transaction that costs nothing and carries *certificate*, for a chain without fees.

        *authority* signs the certificate itself: vote plans and tallies need that (a committee wallet or a BFT
        leader), votes must not have it. *directory* is where the transaction is staged while it is made.
        """
        async with scratch_directory(directory, "transaction-") as scratch:
            staging, witness = scratch / "staging", scratch / "witness"

            async def step(*arguments: str, stdin: Secret | None = None) -> str:
                return await self._text("transaction", *arguments, "--staging", str(staging), stdin=stdin)

            await step("new")
            await step("add-account", payer.address, "0")
            await step("add-certificate", certificate)
            await step("set-expiry-date", str(expiry))
            await step("finalize")
            signed_data = await step("data-for-witness")
            await self._text(
                *("transaction", "make-witness", signed_data, "--genesis-block-hash", block0_hash, "--type", "account"),
                *("--account-spending-counter", str(payer.counter)),
                *("--account-spending-counter-lane", str(payer.lane)),
                *(str(witness), _STDIN),
                stdin=payer.secret,
            )
            await step("add-witness", str(witness))
            await step("seal")
            if authority:
                await step("auth", "--key", _STDIN, stdin=authority)
            message = await step("to-message")
            return SignedFragment(await step("fragment-id"), _from_hex(message))

    async def _file(
        self, output: Path, *arguments: str, stdin: Secret | None = None, timeout: float | None = None
    ) -> None:
        made = unfinished(output)
        await self._text(*arguments, "--output", str(made), stdin=stdin, timeout=timeout)
        await on_disk(output, put_in_place, made, output)

    async def _printed(self, output: Path, *arguments: str, timeout: float | None = None) -> None:
        """Keep in *output* what the command prints."""
        printed = await self._text(*arguments, timeout=timeout)
        await on_disk(output, write_private, output, printed.encode())

    async def _key(self, prefix: str, *arguments: str, stdin: Secret | None = None) -> str:
        """What the command prints, which must be a key with this *prefix*; it may be secret, and is not repeated."""
        printed = await self._text(*arguments, stdin=stdin)
        try:
            found, _ = bech32.decode(printed)
        except ValueError:
            found = None
        if found != prefix:
            what = " ".join(arguments[:4] if arguments[1] == "committee" else arguments[:2])
            raise PermanentError("CommandFailed", f"jcli {what} printed what is no key ({prefix}1…); check {SETTING}")
        return printed

    async def _text(self, *arguments: str, stdin: Secret | None = None, timeout: float | None = None) -> str:
        completed = await run_command(
            [self._path, *arguments],
            setting=SETTING,
            timeout=timeout or self._timeout,
            stdin=stdin.reveal().encode() if stdin else None,
        )
        return completed.stdout.decode(errors="replace").strip()


def _share(printed: str) -> Share:
    try:
        share = read_share(json.loads(printed))
    except (ValueError, RecursionError):
        share = None
    if share is None:
        raise PermanentError(
            "CommandFailed", f"jcli votes tally decryption-shares printed what is no list of shares; check {SETTING}"
        )
    return share


def _from_hex(message: str) -> bytes:
    try:
        return bytes.fromhex(message)
    except ValueError as error:
        raise PermanentError(
            "CommandFailed", f"jcli transaction to-message printed what is no hexadecimal number; check {SETTING}"
        ) from error
