"""The Database port on Postgres, composed of its parts."""

from contextlib import nullcontext

from node_fsm.database.archives import Archives
from node_fsm.database.block0 import Block0s
from node_fsm.database.cluster import Cluster
from node_fsm.database.lease import Leases
from node_fsm.database.listen import Changes
from node_fsm.database.overview import Overviews
from node_fsm.database.plans import VotePlans
from node_fsm.database.results import Results
from node_fsm.database.session import Session, Timed
from node_fsm.database.shares import Shares
from node_fsm.database.specifications import Specifications
from node_fsm.database.votes import Votes


class PostgresDatabase:
    """node_fsm.ports.Database on one Postgres database: which part does what.

    Connects when needed, so that it can be made while the database is away; PermanentError when *url* is not one.
    *timed* is given each operation's name and returns a context manager around it. Without *fingerprints* no overview
    reads a voter. One object is one process to the lease.
    """

    def __init__(self, url: str, *, timed: Timed = lambda _: nullcontext(), fingerprints: bool = True) -> None:
        self.session = Session(url, timed=timed)

        changes = Changes(self.session)
        self.listen = changes.listen

        self._specifications = Specifications(self.session, on_known=changes.tell)
        self.specification = self._specifications.specification
        self.drift = self._specifications.drift
        self.funds = self._specifications.funds
        self.tokens = self._specifications.tokens

        self.overview = Overviews(self.session, self._specifications if fingerprints else None).overview

        block0s = Block0s(self.session, self._specifications)
        self.publish_block0 = block0s.publish_block0
        self.restore_block0 = block0s.restore_block0
        self.publication = block0s.publication
        self.withdraw_block0 = block0s.withdraw_block0
        self.download_block0 = block0s.download_block0

        self.vote_plans = VotePlans(self.session).vote_plans

        results = Results(self.session)
        self.save_tally_snapshot = results.save_tally_snapshot
        self.post_results = results.post_results
        self.results = results.results
        self.disputed = results.disputed
        self.tally_confirmed = results.tally_confirmed

        shares = Shares(self.session)
        self.tally_snapshots = shares.tally_snapshots
        self.post_shares = shares.post_shares
        self.shares = shares.shares
        self.save_decrypted = shares.save_decrypted
        self.decrypted = shares.decrypted

        archives = Archives(self.session)
        self.save_archive = archives.save_archive
        self.counted_votes = archives.counted_votes
        self.archive = archives.archive
        self.archived_blocks = archives.archived_blocks

        cluster = Cluster(self.session)
        self.journal = cluster.journal
        self.report_status = cluster.report_status
        self.chain_copies = cluster.chain_copies
        self.save_chain_copy = cluster.save_chain_copy
        self.neighbours = cluster.neighbours
        self.announce = cluster.announce

        votes = Votes(self.session)
        self.hand_over = votes.hand_over
        self.handed_over = votes.handed_over
        self.resolve_handover = votes.resolve_handover
        self.report_uncounted = votes.report_uncounted
        self.add_uncounted = votes.add_uncounted
        self.uncounted = votes.uncounted
        self.forget_uncounted = votes.forget_uncounted

        leases = Leases(self.session)
        self.acquire_lease = leases.acquire_lease
        self.release_lease = leases.release_lease

    async def close(self) -> None:
        """End what is being read and close all connections."""
        await self._specifications.close()
        await self.session.close()
