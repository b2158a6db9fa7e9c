"""The ledger: accounts and vote plans, and which fragments it takes."""

from typing import Any

from node_fsm.chain.address import ACCOUNT_KIND, TEST_BIT
from node_fsm.chain.blocks import Block
from node_fsm.chain.certificates import PlanCertificate, VoteCast, VoteTally, decode_minted_token
from node_fsm.chain.configuration import decode_configuration
from node_fsm.chain.fragments import FragmentKind
from node_fsm.chain.transactions import Output, Transaction
from node_fsm.core.chain_time import BlockDate
from node_fsm_sandbox.node.accounts import Account, absent_account
from node_fsm_sandbox.node.errors import RejectedError
from node_fsm_sandbox.node.journal import Journal, Table
from node_fsm_sandbox.node.messages import Message, read_message
from node_fsm_sandbox.node.parameters import Parameters
from node_fsm_sandbox.node.plans import VotePlans

GENESIS = BlockDate(0, 0)


class Ledger:
    """The state after the blocks that were applied; what is applied can be rolled back.

    UTXOs are not kept: an election's money is in accounts.
    """

    def __init__(self, block0: Block) -> None:
        """The ledger of a block 0; MalformedError or RejectedError when it cannot begin a chain."""
        self.journal = Journal()
        self.accounts: Table[bytes, Account] = Table(self.journal)
        fragments = block0.fragments()
        first = next(fragments, None)
        if first is None or first.kind is not FragmentKind.INITIAL:
            raise RejectedError("Expected an Initial Fragment")
        self.configuration: dict[str, Any] = decode_configuration(first)
        if self.configuration["block0_consensus"] != "bft" or not self.configuration["consensus_leader_ids"]:
            raise RejectedError("Missing consensus leader id list in the initial fragment of a BFT chain")
        self.parameters = Parameters.of(self.configuration)
        self._block0_hash = bytes.fromhex(block0.header.id)
        self.plans = VotePlans(self.journal)
        self.genesis_transactions = 0
        for fragment in fragments:
            self.genesis_transactions += 1
            if fragment.kind is FragmentKind.MINT_TOKEN:
                token = decode_minted_token(fragment)
                self._mint(token.token_id, token.account, token.value)
            else:
                self._apply_genesis(read_message(fragment))
        self.journal.forget()

    def apply(self, message: Message, parent: BlockDate, date: BlockDate, *, check_signatures: bool = True) -> None:
        """Apply a fragment of a block dated *date* whose parent is dated *parent*.

        RejectedError when it is not taken; the ledger is then as it was.
        """
        mark = self.journal.mark()
        try:
            self._apply(message, parent, date, check_signatures)
        except RejectedError:
            self.journal.rollback(mark)
            raise

    def _apply(self, message: Message, parent: BlockDate, date: BlockDate, check_signatures: bool) -> None:
        transaction, certificate = message.transaction, message.certificate
        if isinstance(certificate, VoteCast) and certificate.account is None:
            raise RejectedError("Transaction for VoteCast is invalid. expecting 1 input, 1 witness and 0 output")
        self._spend(message, date, check_signatures)
        self._pay_out(transaction.outputs)
        match certificate:
            case PlanCertificate():
                if check_signatures and not message.signed_parts().authority_holds():
                    raise RejectedError("Vote Plan Proof has an invalid signature")
                payers = {spent.account.hex() for spent in transaction.inputs if spent.account is not None}
                self._add_plan(certificate, payers, date)
            case VoteCast(account=bytes() as account):
                self.plans.vote(message, certificate, account, self.accounts[account].tokens, parent)
            case VoteTally():
                if check_signatures and not message.signed_parts().authority_holds():
                    raise RejectedError("Vote Tally Proof failed")
                self.plans.tally(message, certificate, parent)

    def _spend(self, message: Message, date: BlockDate, check_signatures: bool) -> None:
        transaction, parts = message.transaction, message.signed_parts()
        if fault := self.parameters.fault_of_expiry(transaction.valid_until, date):
            raise RejectedError(f"Invalid transaction expiry date: {fault.value}")
        self._check_balance(transaction, self.parameters.fee(message.fragment.kind, transaction))
        for index, (spent, witness) in enumerate(zip(transaction.inputs, transaction.witnesses, strict=True)):
            assert spent.account is not None, "read_message lets only accounts through"
            account = self.accounts.get(spent.account)
            if account is None:
                raise absent_account()
            self.accounts[spent.account] = account.spend(spent.value, witness)
            if check_signatures and not parts.witness_holds(index, spent.account, self._block0_hash):
                raise RejectedError("Account with invalid signature")

    def _check_balance(self, transaction: Transaction, fee: int) -> None:
        inputs = sum(spent.value for spent in transaction.inputs)
        outputs = sum(output.value for output in transaction.outputs) + fee
        if inputs != outputs:
            raise RejectedError(
                "Failed to validate transaction balance: transaction value not balanced, "
                f"has inputs sum {inputs} and outputs sum {outputs}"
            )

    def _pay_out(self, outputs: tuple[Output, ...]) -> None:
        for output in outputs:
            if not output.value:
                raise RejectedError("Empty output")
            kind = output.address[0]
            if bool(kind & TEST_BIT) == self.parameters.production:
                raise RejectedError("Invalid discrimination")
            if kind & ~TEST_BIT == ACCOUNT_KIND:
                account = self.accounts.get(output.address[1:]) or Account(0, {})
                self.accounts[output.address[1:]] = account._replace(value=account.value + output.value)

    def _apply_genesis(self, message: Message) -> None:
        transaction, certificate = message.transaction, message.certificate
        if transaction.inputs:
            raise RejectedError("Invalid Block0: Transaction should not have inputs in a block0")
        match certificate:
            case PlanCertificate():
                if not message.signed_parts().authority_holds():
                    raise RejectedError("Vote Plan Proof has an invalid signature")
                self._add_plan(certificate, set(), GENESIS)
            case None:
                self._pay_out(transaction.outputs)
            case _:
                raise RejectedError("Invalid Block0: Vote casting are not valid in the block0")

    def _add_plan(self, plan: PlanCertificate, payers: set[str], date: BlockDate) -> None:
        committee = frozenset(payers).union(self.parameters.committees)
        if plan.committee_id not in committee:
            raise RejectedError("Vote Plan Proof ID is not present in the committee")
        self.plans.add(plan, committee, date)

    def _mint(self, token: str, owner: bytes, value: int) -> None:
        account = self.accounts.get(owner)
        if account is None:
            raise absent_account()
        held = account.tokens.get(token, 0)
        self.accounts[owner] = account._replace(tokens={**account.tokens, token: held + value})
