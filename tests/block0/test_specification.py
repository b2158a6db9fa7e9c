"""Tests of the check of a specification: each mistake is named by table, row and column, with what to do."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from node_fsm.block0.checks.times import LONGEST
from node_fsm.block0.checks.voters import expected_size
from node_fsm.block0.specification import Checked, check_specification, specification_problems
from node_fsm.block0.template import Template
from node_fsm.chain import bech32, ristretto
from node_fsm.chain.address import MEMBER_KEY_PREFIX
from node_fsm.core.chain_time import BlockDate
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import CommitteeMember, ElectionSpec, NodeRow, Objective, VotingGroup
from tests.block0.examples import (
    BLOCK0,
    COMMITTEE,
    DELEGATES,
    DIRECT,
    LEADER_ID,
    MEMBER_KEYS,
    NODES,
    OTHER_LEADER_ID,
    PRIVATE_OBJECTIVE,
    PUBLIC_OBJECTIVE,
    SPEC,
    TEMPLATE,
    VOTING_START,
    proposal,
)


def check(
    spec: ElectionSpec = SPEC,
    nodes: Sequence[NodeRow] = NODES,
    template: Template = TEMPLATE,
    offset_minutes: float = -60,
    own_leader_id: str | None = LEADER_ID,
) -> Checked:
    return check_specification(spec, nodes, template, offset_minutes, own_leader_id)


def refusal(**arguments: Any) -> str:
    with pytest.raises(PermanentError) as caught:
        check(**arguments)
    assert caught.value.reason == "SpecificationInvalid"
    assert "election 'Spring'" in caught.value.message
    return caught.value.message


def with_configuration(**changes: object) -> Template:
    return Template.model_validate(
        {"blockchain_configuration": TEMPLATE.blockchain_configuration.model_dump() | changes}
    )


def with_members(*members: CommitteeMember, threshold: int = 2) -> ElectionSpec:
    return replace(SPEC, committee=members, committee_threshold=threshold)


def with_objectives(*objectives: Objective) -> ElectionSpec:
    return replace(SPEC, objectives=objectives)


def with_groups(*groups: VotingGroup) -> ElectionSpec:
    return replace(SPEC, groups=groups)


def test_a_good_specification_gives_its_dates() -> None:
    checked = check()

    assert checked.dates.clock.start == VOTING_START - timedelta(hours=1)
    assert checked.dates.vote_start == BlockDate(1, 0)
    assert checked.dates.vote_end == BlockDate(1 + 7 * 24, 0)
    assert checked.dates.committee_end_time == SPEC.tallying_end
    assert checked.warnings == ()


def test_dates_need_not_begin_epochs() -> None:
    checked = check(offset_minutes=-0.99)

    assert checked.dates.vote_start == BlockDate(0, 15)
    assert checked.dates.vote_start_time == VOTING_START


def test_the_chain_may_start_with_the_voting() -> None:
    assert check(offset_minutes=0).dates.vote_start == BlockDate(0, 0)


def test_times_of_another_zone_are_the_same_moments() -> None:
    zone = datetime.fromisoformat("2030-01-07T13:00:00+01:00").tzinfo
    spec = replace(SPEC, voting_start=SPEC.voting_start.astimezone(zone))

    assert check(spec).dates == check().dates


def test_public_objectives_need_no_committee() -> None:
    spec = replace(SPEC, committee=(), committee_threshold=5, objectives=(PUBLIC_OBJECTIVE,), groups=SPEC.groups[:1])

    assert check(spec).warnings == ()


def test_an_objective_without_proposals_asks_for_nothing() -> None:
    empty = replace(PRIVATE_OBJECTIVE, proposals=(), voting_group="nobody")
    spec = replace(with_objectives(PUBLIC_OBJECTIVE, empty), committee=(), groups=SPEC.groups[:1])

    assert check(spec).warnings == ()


def test_the_same_proposal_may_be_put_to_two_groups() -> None:
    for_delegates = replace(PUBLIC_OBJECTIVE, id=3, voting_group=DELEGATES)

    assert check(with_objectives(PUBLIC_OBJECTIVE, for_delegates)).warnings == ()


@pytest.mark.parametrize(
    ("column", "time", "message"),
    [
        (
            "voting_start",
            datetime(2030, 1, 7, 12, 0, 0, 500_000, tzinfo=UTC),
            "the nearest good times are 2030-01-07 12:00:00+00:00 and 2030-01-07 12:00:01+00:00",
        ),
        (
            "voting_end",
            datetime(2030, 1, 14, 12, 0, 3, tzinfo=UTC),
            (
                "is not a multiple of slot_duration (4 s) after voting_start;"
                " the nearest good times are 2030-01-14 12:00:00+00:00 and 2030-01-14 12:00:04+00:00"
            ),
        ),
        (
            "voting_end",
            datetime(2030, 1, 14, 12, 0, 0, 1, tzinfo=UTC),
            "the nearest good times are 2030-01-14 12:00:00+00:00 and 2030-01-14 12:00:04+00:00",
        ),
        (
            "tallying_end",
            datetime(2030, 1, 15, 11, 59, 59, tzinfo=UTC),
            "the nearest good times are 2030-01-15 11:59:56+00:00 and 2030-01-15 12:00:00+00:00",
        ),
        ("voting_end", VOTING_START, "is not after voting_start 2030-01-07 12:00:00+00:00; the earliest good time is"),
        ("tallying_end", SPEC.voting_end, "is not after voting_end 2030-01-14 12:00:00+00:00; set it late enough"),
    ],
)
def test_a_time_that_does_not_fit_is_named_with_good_ones(column: str, time: datetime, message: str) -> None:
    changes: dict[str, Any] = {column: time}
    found = refusal(spec=replace(SPEC, **changes))

    assert f"election.{column} {time} " in found
    assert message in found


@pytest.mark.parametrize(
    ("nodes", "own", "message"),
    [
        ((), None, "jorm_nodes has no leader_id for this node"),
        (NODES, None, "jorm_nodes has no leader_id for this node"),
        (NODES[1:], LEADER_ID, f"jorm_nodes.leader_id of no row is this node's own, {LEADER_ID}"),
        (
            (*NODES, NodeRow("leader2", OTHER_LEADER_ID, None)),
            LEADER_ID,
            "jorm_nodes.leader_id of leader2 is also that of leader1",
        ),
        (
            (*NODES, NodeRow("leader2", LEADER_ID[:-1], None)),
            LEADER_ID,
            "jorm_nodes.leader_id of leader2 is no ed25519 public key (bech32 text has a wrong checksum",
        ),
        (
            (*NODES, NodeRow("leader2", MEMBER_KEYS[0], None)),
            LEADER_ID,
            "jorm_nodes.leader_id of leader2 is no ed25519 public key (expected a public key",
        ),
    ],
)
def test_a_wrong_leader_is_named(nodes: Sequence[NodeRow], own: str | None, message: str) -> None:
    found = refusal(nodes=nodes, own_leader_id=own)

    assert message in found
    assert "node-fsm node add" in found


FIRST, SECOND = COMMITTEE


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (with_members(), "committee has no members, but objective 'Bridges' is private"),
        (
            with_members(FIRST, SECOND, threshold=1),
            (
                "election.committee_threshold is 1 of 2 members, but objective 'Bridges' is private, and its tally"
                " needs the share of every member: the chain knows no lower threshold; set it to 2"
            ),
        ),
        (with_members(FIRST, SECOND, threshold=3), "election.committee_threshold is 3 of 2 members"),
        (
            with_members(FIRST, replace(SECOND, public_key=None)),
            (
                f"committee.member_public_key of {SECOND.id} is missing, but objective 'Bridges' is private, and"
                " its tally needs the share of every member"
            ),
        ),
        (
            with_members(FIRST, replace(SECOND, public_key=MEMBER_KEYS[1][:-1])),
            f"committee.member_public_key of {SECOND.id} is no member key (bech32 text has a wrong checksum",
        ),
        (
            with_members(FIRST, replace(SECOND, public_key=LEADER_ID)),
            f"committee.member_public_key of {SECOND.id} is no member key (ristretto255_memberpk1…)",
        ),
        *(
            (
                with_members(FIRST, replace(SECOND, public_key=bech32.encode(MEMBER_KEY_PREFIX, no_key))),
                f"committee.member_public_key of {SECOND.id} is no member key that any secret key makes",
            )
            for no_key in (ristretto.IDENTITY, bytes([255]) * 32)
        ),
        (
            with_members(FIRST, replace(SECOND, public_key=FIRST.public_key)),
            f"committee.member_public_key of {SECOND.id} is also that of an earlier member",
        ),
        (
            with_members(FIRST, replace(SECOND, index=0)),
            f"committee.member_index of {SECOND.id} is also that of an earlier member",
        ),
        (
            with_members(FIRST, replace(SECOND, index=2)),
            (
                f"committee.member_index of {SECOND.id} is 2, and nobody of the 2 members has 1, but objective"
                " 'Bridges' is private, and its tally needs the share of every member; number them from 0 to 1 as their"
                " keys were made"
            ),
        ),
        (
            with_members(FIRST, replace(SECOND, id="AB" * 32)),
            f"committee.id of {'AB' * 32} is no ed25519 public key; give the 64 lower-case hex digits",
        ),
        (with_members(FIRST, replace(SECOND, id="ab" * 31)), "is no ed25519 public key"),
    ],
)
def test_a_committee_that_cannot_tally_is_refused(spec: ElectionSpec, message: str) -> None:
    assert message in refusal(spec=spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (with_objectives(), "objective has no proposal that is not deleted"),
        (with_objectives(replace(PUBLIC_OBJECTIVE, proposals=())), "objective has no proposal that is not deleted"),
        (
            with_objectives(replace(PUBLIC_OBJECTIVE, proposals=(proposal(9, options=0),))),
            "proposal.options of proposal 9 (objective 1 'Roads') has 0 entries; give 1 to 16",
        ),
        (
            with_objectives(replace(PUBLIC_OBJECTIVE, proposals=(proposal(9, options=17),))),
            "proposal.options of proposal 9 (objective 1 'Roads') has 17 entries; give 1 to 16",
        ),
        (
            with_objectives(replace(PUBLIC_OBJECTIVE, proposals=(replace(proposal(9), external_id=b"short"),))),
            "proposal.external_id of proposal 9 (objective 1 'Roads') has 5 bytes; give 32",
        ),
        (
            with_objectives(PUBLIC_OBJECTIVE, replace(PUBLIC_OBJECTIVE, id=3, proposals=(proposal(1),))),
            (
                "proposal.external_id of proposal 1 (objective 3 'Roads') is also that of an earlier public proposal of"
                " group 'direct'"
            ),
        ),
    ],
)
def test_a_wrong_proposal_is_named(spec: ElectionSpec, message: str) -> None:
    assert message in refusal(spec=spec)


def test_one_to_sixteen_options_are_taken() -> None:
    check(with_objectives(replace(PUBLIC_OBJECTIVE, proposals=(proposal(1, options=1), proposal(2, options=16)))))


def test_a_private_proposal_whose_tally_is_too_large_for_a_block_is_refused() -> None:
    size = 2 * (300 + 2 + (96 * 2 + 8) * 3)

    assert check(template=with_configuration(block_content_max_size=size))
    found = refusal(template=with_configuration(block_content_max_size=size - 1))
    assert "proposal 6 (objective 2 'Bridges') has a tally of about 902 bytes, more than half a block" in found
    assert f"set block_content_max_size in the block 0 template to {size} or more" in found


def test_a_private_proposal_whose_tally_jcli_does_not_take_is_refused() -> None:
    many = tuple(replace(FIRST, index=index) for index in range(60))
    spec = replace(with_objectives(replace(PRIVATE_OBJECTIVE, proposals=(proposal(6, options=16),))), committee=many)

    found = specification_problems(spec, NODES, TEMPLATE, -60, LEADER_ID)
    too_large = "has a tally of about 92590 bytes, but jcli takes 81911 at most; have fewer options or fewer than 60"
    assert [problem for problem in found if too_large in problem]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (with_groups(), "voter has no rows; import the voters"),
        (
            with_groups(SPEC.groups[0]),
            "objective.voting_group of objective 2 'Bridges' is 'delegates', which has no voters",
        ),
        (
            replace(
                with_groups(SPEC.groups[0], VotingGroup(DELEGATES, voters=2, token_holders=0, tokens=0)),
                voting_power_unit=1_000_000,
            ),
            (
                "election.voting_power_unit is 1000000, and none of the 2 voters of voting_group 'delegates' holds so"
                " much"
            ),
        ),
        (replace(SPEC, voting_power_unit=0), "election.voting_power_unit is 0; set it to 1 or more"),
        (
            replace(SPEC, address_prefixes=("ca", "ta")),
            "voter has addresses that begin with 'ta', but those of this chain begin with 'ca'",
        ),
        (
            replace(
                with_groups(VotingGroup(DIRECT, 2_000_000, 2_000_000, 2_000_000), SPEC.groups[1]),
                fund_holders=2_000_000,
            ),
            "voter has too many for a chain: block 0 would have 214127278 bytes, but at most 195000000 can be",
        ),
    ],
)
def test_voters_that_no_chain_can_be_made_of_are_refused(spec: ElectionSpec, message: str) -> None:
    assert message in refusal(spec=spec)


def test_voters_addresses_of_a_production_chain_are_refused_by_a_test_chain() -> None:
    assert "voter has addresses that begin with 'ca'" in refusal(template=with_configuration(discrimination="test"))


def test_all_power_is_summed_in_64_bits_with_treasury_rewards_and_the_funds_of_those_who_sign() -> None:
    template = with_configuration(treasury=2**63, total_reward_supply=7)
    limit = 2**63 - 1 - 7 - 3 * 1_000_000_000 - SPEC.groups[1].tokens

    def with_tokens(tokens: int) -> ElectionSpec:
        return with_groups(VotingGroup(DIRECT, 2, 2, tokens), SPEC.groups[1])

    assert check(with_tokens(limit), template=template)
    found = refusal(spec=with_tokens(limit + 1), template=template)
    assert f"voter has a voting_power of {limit + 1 + SPEC.groups[1].tokens} units in all" in found
    assert "raise voting_power_unit" in found


def test_all_power_is_summed_in_the_63_bits_that_the_database_has_for_it() -> None:
    limit = 2**63 - 1 - SPEC.groups[1].tokens

    assert check(with_groups(VotingGroup(DIRECT, 2, 2, limit), SPEC.groups[1]))
    assert "a chain holds at most 9223372036854775807," in refusal(
        spec=with_groups(VotingGroup(DIRECT, 2, 2, limit + 1), SPEC.groups[1])
    )


def test_voters_of_several_groups_are_funded_once() -> None:
    groups = (VotingGroup(DIRECT, 1_300_000, 1_300_000, 1), VotingGroup(DELEGATES, 700_000, 700_000, 1))

    assert check(replace(with_groups(*groups), fund_holders=1_300_000))
    assert "block 0 would have" in refusal(spec=replace(with_groups(*groups), fund_holders=2_000_000))


def test_the_size_that_is_checked_is_that_of_block_0() -> None:
    assert expected_size(SPEC, TEMPLATE, leaders=2) == BLOCK0.stat().st_size


def test_repeated_options_are_refused() -> None:
    twice = replace(proposal(9), options=("yes", "no", "yes"))
    found = refusal(spec=with_objectives(replace(PUBLIC_OBJECTIVE, proposals=(twice,)), PRIVATE_OBJECTIVE))

    assert "proposal.options of proposal 9 (objective 1 'Roads') has 'yes' twice" in found


@pytest.mark.parametrize("column", ["voting_end", "tallying_end"])
def test_a_year_that_keeps_all_later_elections_waiting_is_refused(column: str) -> None:
    changes: dict[str, Any] = {"tallying_end": VOTING_START + LONGEST + timedelta(seconds=4)}
    changes[column] = VOTING_START + LONGEST
    if column == "voting_end":
        assert f"election.tallying_end {changes['tallying_end']} is more than 10 years after" in refusal(
            spec=replace(SPEC, **changes)
        )
    else:
        assert check(replace(SPEC, **changes)).dates.committee_end_time == VOTING_START + LONGEST


def test_a_chain_that_would_begin_before_1970_is_refused() -> None:
    spec = replace(SPEC, voting_start=datetime(1970, 1, 1, 1, tzinfo=UTC), voting_end=datetime(1970, 1, 2, tzinfo=UTC))
    spec = replace(spec, tallying_end=datetime(1970, 1, 3, tzinfo=UTC))

    assert check(spec).dates.clock.start == datetime(1970, 1, 1, tzinfo=UTC)
    assert "begin at 1969-12-31 23:59:56+00:00, and block 0 counts seconds from 1970" in refusal(
        spec=spec, offset_minutes=-60.01
    )


def test_every_problem_is_listed_at_once() -> None:
    spec = replace(SPEC, voting_end=SPEC.voting_end + timedelta(seconds=1), committee=(), groups=())
    found = refusal(spec=spec, own_leader_id=None)

    assert [name for name in ("election.voting_end", "jorm_nodes", "committee", "voter") if name in found] == [
        "election.voting_end",
        "jorm_nodes",
        "committee",
        "voter",
    ]


def test_what_a_chain_can_live_with_is_a_warning() -> None:
    spec = with_groups(VotingGroup(DIRECT, 300, 298, 45_147), SPEC.groups[1], VotingGroup("guests", 4, 4, 4))
    checked = check(spec, template=with_configuration(slots_per_epoch=901))

    assert checked.warnings == (
        (
            "slots_per_epoch 901 is not a multiple of the 2 leaders in jorm_nodes, so that the last ones get fewer"
            " blocks; change it in the block 0 template"
        ),
        "2 voters of voter.voting_group 'direct' hold less than one election.voting_power_unit (1) and are left out",
        "the 4 voters of voter.voting_group 'guests' have nothing to vote on",
    )
