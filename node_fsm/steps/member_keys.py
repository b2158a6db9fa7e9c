"""The members' keys where the operator is trusted with them: read after voting, and the members' shares made of them.

They are in memory alone, and go to jcli over standard input.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from node_fsm.aio.beside import side_by_side
from node_fsm.chain.address import MEMBER_SECRET_PREFIX
from node_fsm.core.committee import PostedShare
from node_fsm.core.conditions import ConditionType
from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.core.secret import Secret
from node_fsm.steps.context import Context
from node_fsm.steps.private_plan import PrivatePlan

KEY_BYTES = 4096
_KEY = re.compile(rf"{MEMBER_SECRET_PREFIX}1[0-9a-z]+")


async def post_own_shares(ctx: Context, plans: Sequence[PrivatePlan], before: set[tuple[str, str]]) -> bool:
    """Post, as members do, the shares that are missing and for whose members there are keys; whether there were any.

    What keeps one from being made is said in a condition, and holds up no other: a member may post theirs as well.
    *before* has the plan and the member's public key of each that was posted already. It did not hold if it is missing
    still, and another made by the same jcli does not either: it would be posted at every look.
    """
    wanted = {
        plan.members[member]: member
        for plan in plans
        for member in plan.missing
        if (plan.id, plan.members[member]) not in before
    }
    if ctx.settings.member_keys_uri is None or not wanted:
        ctx.conditions.clear(ConditionType.MEMBER_KEY_UNUSABLE)
        return False
    where = f"{ctx.settings.member_keys_uri}/{ctx.election_in_work().election_name}/"
    made: list[PostedShare] = []
    try:
        faults, keys = await _read(ctx, where, {key for plan in plans for key in plan.members})
        await _make(ctx, plans, keys, made, before)
    except ServiceError as error:
        ctx.conditions.raise_(ConditionType.MEMBER_KEY_UNUSABLE, error.reason, error.message)
    else:
        _say(ctx, where, faults, {key: member for key, member in wanted.items() if key not in keys})
    if made:
        await ctx.database.post_shares(ctx.block0_in_work().hash, made)
        before.update((share.plan_id, share.member_key) for share in made)
    return bool(made)


async def _make(
    ctx: Context,
    plans: Sequence[PrivatePlan],
    keys: Mapping[str, Secret],
    made: list[PostedShare],
    before: Collection[tuple[str, str]],
) -> None:
    """Add to *made* the shares that are missing, as many at a time as there are cores; then raise what kept others."""

    async def make(one: tuple[PrivatePlan, str]) -> None:
        plan, public_key = one
        share = await ctx.jcli.decryption_shares(plan.snapshot, plan.id, keys[public_key])
        made.append(PostedShare(plan.id, plan.snapshot_hash, public_key, share))

    wanted = [
        (plan, public_key)
        for plan in plans
        for public_key in (plan.members[member] for member in plan.missing)
        if public_key in keys and (plan.id, public_key) not in before
    ]
    await side_by_side(make, wanted)


async def _read(ctx: Context, where: str, members: Collection[str]) -> tuple[list[tuple[str, str]], dict[str, Secret]]:
    """What is wrong with what is under *where* (reason, message), and the keys of *members* by their public half."""
    faults, keys = [], {}
    for uri in await ctx.store.uris(where):
        key = Secret((await ctx.store.read(uri, KEY_BYTES)).decode("ascii", errors="replace").strip())
        if not _KEY.fullmatch(key.reveal()):
            faults.append(("MemberKeyMalformed", f"{uri} is not one bech32 line with a member's secret key"))
            continue
        try:
            public_key = await ctx.jcli.member_public_key(key)
        except PermanentError as error:
            if error.reason != "CommandFailed":
                raise
            faults.append(("MemberKeyMalformed", f"{uri} is refused: {error.message}"))
            continue
        if public_key in members:
            keys[public_key] = key
        else:
            faults.append(("MemberKeyForeign", f"{uri} is the key of {public_key}, who is no member"))
    return faults, keys


def _say(ctx: Context, where: str, faults: list[tuple[str, str]], missing: Mapping[str, int]) -> None:
    if missing:
        members = ", ".join(f"{member} ({key})" for key, member in sorted(missing.items(), key=lambda item: item[1]))
        faults = [("MemberKeyMissing", f"there is no key of member {members} under {where}"), *faults]
    if faults:
        what = "; ".join(message for _, message in faults)
        advice = "put the right keys there, or have these members post their shares with `node-fsm committee share`"
        ctx.conditions.raise_(ConditionType.MEMBER_KEY_UNUSABLE, faults[0][0], f"{what}; {advice}")
    else:
        ctx.conditions.clear(ConditionType.MEMBER_KEY_UNUSABLE)
