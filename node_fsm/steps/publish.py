"""From an election's specification to a checked block 0 on this machine. Nothing here publishes anything."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from node_fsm.aio.beside import both, side_by_side
from node_fsm.aio.threads import DISK, LONG, in_thread
from node_fsm.block0.genesis import check_block0, leader_ids, signing_accounts, write_genesis
from node_fsm.block0.plans import PlanDraft, draft_plans
from node_fsm.block0.specification import Checked, check_specification
from node_fsm.core.decryption import DecryptionLimit
from node_fsm.core.errors import PermanentError, TemporaryError
from node_fsm.core.model import ElectionSpec, Publication, VotePlan
from node_fsm.steps.context import Context
from node_fsm.steps.decryption_speed import decryption_limit
from node_fsm.storage.files import new_file, write_private
from node_fsm.storage.workspace import ChainDirectory

UNBUILDABLE = {"SpecificationInvalid", "VoterAddressInvalid", "Block0TooLarge"}
"""The reasons that are of the election itself."""


async def specification_in_work(ctx: Context) -> ElectionSpec:
    """What is specified for the election in work; TemporaryError when that is not what this work began with."""
    work = ctx.election_in_work()
    spec = await ctx.database.specification(work.election_id)
    if spec.fingerprint != work.fingerprint:
        ctx.database_changed()
        raise TemporaryError("ElectionChanged", f"{spec.name} was edited; it is looked at again")
    return spec


async def check(ctx: Context, spec: ElectionSpec) -> Checked:
    """Everything that a person may have got wrong, before anything is made; PermanentError lists it."""
    decryption = await decryption_limit(ctx, spec)
    with noted(ctx, spec):
        return _check(ctx, spec, decryption)


@contextmanager
def noted(ctx: Context, spec: ElectionSpec) -> Iterator[None]:
    """Remember whether a block 0 can be made of *spec*: one that cannot be built gives way to the next election."""
    with suppress(PermanentError):
        ctx.template()  # what is remembered counts for the template as it is now
    overview = ctx.known_overview()
    try:
        yield
    except PermanentError as error:
        if error.reason in UNBUILDABLE:
            ctx.remember(spec, overview, error)
        raise
    ctx.remember(spec, overview, None)


def _check(ctx: Context, spec: ElectionSpec, decryption: DecryptionLimit | None) -> Checked:
    nodes, offset = ctx.known_overview().nodes, ctx.policy.voting_start_offset_minutes
    return check_specification(spec, nodes, ctx.template(), offset, ctx.own_node().leader_id, decryption=decryption)


async def build_vote_plans(ctx: Context, spec: ElectionSpec, directory: ChainDirectory) -> tuple[PlanDraft, ...]:
    """Write each plan, its certificate and the signed one into *directory*."""
    checked = await check(ctx, spec)
    key = ctx.signing_key
    assert key is not None, "FetchingKey comes first"
    drafts = draft_plans(spec, checked.dates, ctx.template())

    async def build(draft: PlanDraft) -> None:
        plan, certificate, signed = _plan_files(directory, draft)
        await in_thread(DISK, write_private, plan, json.dumps(draft.document(), indent=1).encode())
        await ctx.jcli.new_vote_plan(plan, certificate)
        await ctx.jcli.sign_certificate(certificate, key, signed)

    await side_by_side(build, drafts)
    return drafts


async def build_block0(ctx: Context, spec: ElectionSpec, directory: ChainDirectory, generation: int) -> Publication:
    """Encode block 0 into *directory* from its plans, and check that it says what was asked for."""
    with noted(ctx, spec):
        return await _build_block0(ctx, spec, directory, generation)


async def _build_block0(ctx: Context, spec: ElectionSpec, directory: ChainDirectory, generation: int) -> Publication:
    dates = (await check(ctx, spec)).dates
    template, nodes = ctx.template(), ctx.known_overview().nodes
    own = ctx.own_node()
    assert own.leader_id is not None, "FetchingKey comes first"
    drafts = draft_plans(spec, dates, template)
    plans = await side_by_side(partial(_vote_plan, ctx, directory), drafts)
    signed = await in_thread(DISK, lambda: [_plan_files(directory, draft)[2].read_text().strip() for draft in drafts])
    committees = [member.id for member in spec.committee]
    unit = spec.voting_power_unit
    async with new_file(directory.genesis) as genesis:
        contents = await write_genesis(
            genesis.write,
            template=template,
            clock=dates.clock,
            leaders=leader_ids(nodes),
            committees=committees,
            accounts=signing_accounts(own.leader_id, committees, template),
            funds=ctx.database.funds(spec.id, unit),
            tokens=[
                (token, ctx.database.tokens(spec.id, group, unit))
                for group, token in {draft.voting_group: draft.token for draft in drafts}.items()
            ],
            certificates={plan.id: certificate for plan, certificate in zip(plans, signed, strict=True)},
        )
    await ctx.jcli.genesis_encode(directory.genesis, directory.block0)
    summary, said = await both(
        in_thread(LONG, check_block0, directory.block0, contents), ctx.jcli.genesis_hash(directory.block0)
    )
    if said != summary.hash:
        raise PermanentError(
            "Block0Differs", f"jcli says that block 0 has the hash {said}, its bytes have {summary.hash}"
        )
    return Publication(
        election_id=spec.id,
        revision=spec.revision,
        generation=generation,
        published_by=ctx.settings.hostname,
        hash=summary.hash,
        size=summary.size,
        fingerprint=spec.fingerprint,
        dates=dates,
        plans=tuple(plans),
    )


def _plan_files(directory: ChainDirectory, draft: PlanDraft) -> tuple[Path, Path, Path]:
    """A plan's document, its certificate, and the signed certificate."""
    stem = f"plan-{draft.index}"
    return directory.plans / f"{stem}.json", directory.plans / f"{stem}.cert", directory.plans / f"{stem}.signed"


async def _vote_plan(ctx: Context, directory: ChainDirectory, draft: PlanDraft) -> VotePlan:
    """The plan as it is published, with what jcli says of it."""
    _, certificate, _ = _plan_files(directory, draft)
    plan_id = await ctx.jcli.vote_plan_id(certificate)
    election_key = await ctx.jcli.election_key(draft.member_keys) if draft.member_keys else None
    return VotePlan(
        index=draft.index,
        id=plan_id,
        payload_type=draft.payload_type,
        voting_group=draft.voting_group,
        token=draft.token,
        encryption_key=election_key,
        proposals=draft.proposals,
    )
