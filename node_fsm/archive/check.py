"""Whether a chain's files say what an archive claims of them: the same chain, the same end, the same results."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from node_fsm.archive.manifest import Manifest, ResultEntry, Tip
from node_fsm.archive.watched import Watched
from node_fsm.chain.block0 import summarise
from node_fsm.chain.recount import Recount, recount
from node_fsm.core.errors import NOT_AS_EXPECTED
from node_fsm.core.progress import Progress

UNCOUNTED: Final = "record/uncounted-votes.json"
"""Votes that are not counted: a list of objects with the ``weight`` of each, and more."""

MAX_DOCUMENT_BYTES = 256 * 2**20
"""Of a document of an archive that is read as a whole."""

_BUFFER_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: *detail* says what was found."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What is said of a chain; *results* are None when it was not tallied.

    *untallied* says why results are missing: those of private plans may, while others stand.
    """

    block0_hash: str
    tip: Tip
    vote_plan_ids: tuple[str, ...]
    results: tuple[ResultEntry, ...] | None
    untallied: str | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """What a manifest says."""
        return cls(manifest.block0_hash, manifest.tip, manifest.vote_plan_ids, manifest.results, manifest.untallied)


def check_block0(block0: Path, block0_hash: str) -> Check:
    """Whether the file is a whole block 0 with this hash."""
    try:
        with block0.open("rb", buffering=_BUFFER_BYTES) as stream:
            found = summarise(stream).hash
    except (OSError, ValueError) as error:
        return Check("block0.bin", ok=False, detail=str(error))
    return Check("block0.bin", found == block0_hash, f"is block 0 {found}" + _unless(found == block0_hash, block0_hash))


def check_chain(blocks: Path, claims: Claims, progress: Progress = lambda _done, _total: None) -> Iterator[Check]:
    """Whether the file is an unbroken chain from the claimed block 0 to the claimed tip, and gives the results."""
    try:
        with blocks.open("rb", buffering=_BUFFER_BYTES) as stream:
            counted = recount(Watched(stream, blocks.stat().st_size, progress))
    except (OSError, ValueError) as error:
        yield Check("blocks.bin", ok=False, detail=str(error))
        return
    yield _check_ends(counted, claims)
    yield _check_plans(counted, claims)
    for entry in claims.results or ():
        yield _check_result(counted, entry)


def check_uncounted(record: Path) -> Check:
    """What the archive says of votes that nodes had accepted in time and that are not counted."""
    try:
        if record.stat().st_size > MAX_DOCUMENT_BYTES:
            return Check(UNCOUNTED, ok=False, detail=f"has more than {MAX_DOCUMENT_BYTES} bytes")
        weights = [int(vote["weight"]) for vote in json.loads(record.read_bytes())]
    except (OSError, *NOT_AS_EXPECTED) as error:
        return Check(UNCOUNTED, ok=False, detail=f"is no list of votes: {error!r}")
    said = f"{len(weights)} votes of weight {sum(weights)}, which nodes had accepted in time, are not counted"
    return Check(UNCOUNTED, ok=True, detail=said)


def _check_ends(counted: Recount, claims: Claims) -> Check:
    tip = Tip(hash=counted.tip.id, date=str(counted.tip.date), height=counted.tip.height)
    ok = counted.block0.hash == claims.block0_hash and tip == claims.tip
    found = f"is a chain from block 0 {counted.block0.hash} to {_said(tip)}"
    return Check("blocks.bin", ok, found + _unless(ok, f"block 0 {claims.block0_hash} to {_said(claims.tip)}"))


def _check_plans(counted: Recount, claims: Claims) -> Check:
    plans = sorted(counted.plans)
    if plans != sorted(claims.vote_plan_ids):
        said = ", ".join(sorted(claims.vote_plan_ids))
        return Check("vote plans", ok=False, detail=f"block 0 has {', '.join(plans)}; the manifest says {said}")
    if claims.results is None:
        return Check("vote plans", ok=True, detail=f"the {len(plans)} of block 0")
    tallied = sorted(entry.plan_id for entry in claims.results)
    private = [plan.id for _, plan in counted.block0.private_plans] if claims.untallied else []
    closed = [plan_id for plan_id in private if plan_id not in tallied]
    if plans != sorted(tallied + closed):
        return Check("vote plans", ok=False, detail="the manifest does not have one result for each of them")
    said = f", of which {len(closed)} private ones have no result: {claims.untallied}" if closed else ""
    return Check("vote plans", ok=True, detail=f"the {len(plans)} of block 0{said}")


def _check_result(counted: Recount, entry: ResultEntry) -> Check:
    name = f"results of plan {entry.plan_id}"
    plan = counted.plans.get(entry.plan_id)
    if plan is None:
        return Check(name, ok=False, detail="is no plan of block 0")
    tallies = {(found.plan_id, found.fragment_id): found for found in counted.tallies}
    tally = tallies.get((entry.plan_id, entry.fragment_id or ""))
    if entry.on_chain and tally is None:
        return Check(name, ok=False, detail=f"its tally {entry.fragment_id} is in no block")
    if plan.plan.payload_type == "public":
        votes = tuple(proposal.weights for proposal in plan.proposals)
        return Check(name, votes == entry.votes, "a recount of the blocks " + _agrees(votes == entry.votes))
    if tally is None:
        return Check(name, ok=True, detail="decrypted off the chain, so the blocks cannot confirm it")
    return Check(name, tally.results == entry.votes, "the tally in the blocks " + _agrees(tally.results == entry.votes))


def _said(tip: Tip) -> str:
    return f"tip {tip.hash} of height {tip.height}, dated {tip.date}"


def _agrees(ok: bool) -> str:
    return "gives the same" if ok else "gives other figures"


def _unless(ok: bool, claimed: str) -> str:
    return "" if ok else f"; the manifest says {claimed}"
