"""The canonical form of a specification: what its fingerprint covers, and what differs between two of them. Pure.

It holds what block 0 is made of, and nothing else that the operator may edit: no names, titles or descriptions.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from typing import Any

from node_fsm.core.model import ElectionSpec

VERSION = 1
"""To be raised with every change of what the form holds or how it is written."""

MAX_DIFFERENCES = 5

_SCALARS = ("voting_start", "voting_end", "tallying_end", "committee_threshold", "voting_power_unit")


@dataclass(frozen=True, slots=True)
class Electorate:
    """A group's voters in numbers: how many, the sum of their power, and a hash that does not depend on their order."""

    voting_group: str
    voters: int
    power: int
    digest: str


def canonical_form(spec: ElectionSpec, electorates: Sequence[Electorate]) -> str:
    """The JSON text whose hash is the fingerprint; *spec*'s own fingerprint is not read."""
    form = {
        "voting_start": spec.voting_start.astimezone(UTC).isoformat(),
        "voting_end": spec.voting_end.astimezone(UTC).isoformat(),
        "tallying_end": spec.tallying_end.astimezone(UTC).isoformat(),
        "committee_threshold": spec.committee_threshold,
        "voting_power_unit": spec.voting_power_unit,
        "committee": {member.id: [member.index, member.public_key] for member in spec.committee},
        "proposals": [
            {
                "external_id": proposal.external_id.hex(),
                "options": list(proposal.options),
                "payload_type": objective.payload_type.value,
                "voting_group": objective.voting_group,
            }
            for objective in spec.objectives
            for proposal in objective.proposals
        ],
        "voters": {group.voting_group: [group.voters, group.power, group.digest] for group in electorates},
    }
    return json.dumps(form, sort_keys=True, separators=(",", ":"))


def fingerprint(canonical: str) -> str:
    """``<version>:<hex sha256>`` of a canonical form."""
    return f"{VERSION}:{sha256(canonical.encode()).hexdigest()}"


def differences(published: str, present: str) -> str:
    """What changed from one canonical form to the other, in a few words without a full stop."""
    found = list(_differences(json.loads(published), json.loads(present)))
    shown = found[:MAX_DIFFERENCES]
    if len(found) > len(shown):
        shown.append(f"and {len(found) - len(shown)} more changes")
    return "; ".join(shown) or "nothing differs"


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in _SCALARS:
        if old[name] != new[name]:
            yield f"{name} was {old[name]} and is {new[name]}"
    yield from _keyed("committee member", old["committee"], new["committee"])
    by_id = [{_proposal_key(entry): entry for entry in form["proposals"]} for form in (old, new)]
    yield from _keyed("proposal", *by_id)
    common = [[key for key in form if key in by_id[0] and key in by_id[1]] for form in by_id]
    if common[0] != common[1]:
        yield "the proposals are in another order"
    for group in sorted(old["voters"].keys() | new["voters"].keys()):
        before, after = (form["voters"].get(group, [0, 0, ""]) for form in (old, new))
        if before != after:
            yield (
                f"the voters of group {group} were {before[0]} with a power of {before[1]}"
                f" and are {after[0]} with {after[1]}"
            )


def _proposal_key(entry: dict[str, Any]) -> str:
    """A proposal may be voted on by several groups, each by itself."""
    return f"{entry['external_id']} of group {entry['voting_group']}"


def _keyed(what: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    yield from (f"{what} {key} was removed" for key in old if key not in new)
    yield from (f"{what} {key} was added" for key in new if key not in old)
    yield from (f"{what} {key} was changed" for key in old if key in new and old[key] != new[key])
