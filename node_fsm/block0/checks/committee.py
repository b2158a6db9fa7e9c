"""Whether a committee can do what an election asks of it."""

import re
from collections.abc import Iterator

from node_fsm.block0.checks.ballot import private_objectives
from node_fsm.block0.checks.problem import Problem
from node_fsm.chain.address import KEY_SIZE
from node_fsm.chain.member_key import member_key_problem
from node_fsm.core.model import ElectionSpec


def committee_problems(spec: ElectionSpec) -> Iterator[Problem]:
    """Members are told apart by id, index and key; a private election needs the keys of all of them."""
    for index, member in enumerate(spec.committee):
        if not re.fullmatch(f"[0-9a-f]{{{2 * KEY_SIZE}}}", member.id):
            yield Problem(
                ("committee", index, "id"),
                f"is no ed25519 public key; give the {2 * KEY_SIZE} lower-case hex digits that `jcli key to-bytes`"
                " prints",
            )
    for field, attribute in (("id", "id"), ("member_index", "index"), ("member_public_key", "public_key")):
        seen = set()
        for index, member in enumerate(spec.committee):
            value = getattr(member, attribute)
            if value is not None and value in seen:
                yield Problem(
                    ("committee", index, field), "is also that of an earlier member; every member needs one of its own"
                )
            seen.add(value)
    private = private_objectives(spec)
    if private:
        yield from _private_problems(
            spec, f"objective {private[0].title!r} is private, and its tally needs the share of every member"
        )


def _private_problems(spec: ElectionSpec, why: str) -> Iterator[Problem]:
    members = len(spec.committee)
    if not members:
        yield Problem(("committee",), f"has no members, but {why}; add the members with their member_public_key")
    elif spec.committee_threshold != members:
        yield Problem(
            ("committee_threshold",),
            f"is {spec.committee_threshold} of {members} members, but {why}: the chain knows no lower threshold; set it"
            f" to {members}",
        )
    yield from _index_problems(spec, why)
    for index, member in enumerate(spec.committee):
        problem = "is missing" if member.public_key is None else member_key_problem(member.public_key)
        if problem:
            yield Problem(
                ("committee", index, "member_public_key"), f"{problem}, but {why}; set the key that the member gave"
            )


def _index_problems(spec: ElectionSpec, why: str) -> Iterator[Problem]:
    members = len(spec.committee)
    for index, member in enumerate(spec.committee):
        if not 0 <= member.index < members:
            missing = sorted(set(range(members)) - {other.index for other in spec.committee})
            yield Problem(
                ("committee", index, "member_index"),
                f"is {member.index}, and nobody of the {members} members has {', '.join(map(str, missing))}, but {why};"
                f" number them from 0 to {members - 1} as their keys were made",
            )
