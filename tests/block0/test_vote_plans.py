"""Tests of drafting vote plans."""

import subprocess
from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_fsm_sandbox.formats.certificates import private_tally
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind

from node_fsm.block0.genesis import block0_size
from node_fsm.block0.plans import PlanDraft, certificates_size, draft_plans, max_tally_size, tally_size, voting_token
from node_fsm.block0.specification import check_specification
from node_fsm.block0.template import Template
from node_fsm.chain.limits import MAX_CERTIFICATE_SIZE
from node_fsm.core.model import ElectionSpec, Objective, Proposal
from node_fsm.core.payload_type import PayloadType
from tests.block0.examples import (
    CERTIFICATES,
    COMMITTEE,
    DELEGATES,
    DIRECT,
    LEADER_ID,
    MEMBER_KEYS,
    NODES,
    PRIVATE_OBJECTIVE,
    PUBLIC_OBJECTIVE,
    SPEC,
    TEMPLATE,
    proposal,
)

T = TypeVar("T")

DATES = check_specification(SPEC, NODES, TEMPLATE, -60, LEADER_ID).dates


def with_block_size(size: int) -> Template:
    configuration = TEMPLATE.blockchain_configuration.model_dump() | {"block_content_max_size": size}
    return Template.model_validate({"blockchain_configuration": configuration})


def test_certificates_have_the_size_that_is_counted_with() -> None:
    empty = block0_size(leaders=0, committees=0, funds=0, tokens={})
    size = block0_size(leaders=0, committees=0, funds=0, tokens={}, certificates=list(CERTIFICATES.values()))

    assert certificates_size(SPEC, TEMPLATE) == size - empty


def drafts(*objectives: Objective, template: Template = TEMPLATE) -> tuple[PlanDraft, ...]:
    return draft_plans(replace(SPEC, objectives=objectives), DATES, template)


def many(count: int, objective: Objective = PUBLIC_OBJECTIVE) -> Objective:
    return replace(objective, proposals=tuple(map(proposal, range(1, count + 1))))


def sizes(plans: tuple[PlanDraft, ...]) -> list[int]:
    return [len(plan.proposals) for plan in plans]


@st.composite
def specifications(draw: st.DrawFn) -> ElectionSpec:
    """Elections with objectives and proposals in no order, some objectives empty."""
    numbers = iter(draw(st.permutations(range(1, 400))))
    objectives = []
    for objective_id in draw(st.lists(st.integers(1, 99), unique=True, max_size=6)):
        count = draw(st.integers(0, 60))
        objectives.append(
            Objective(
                id=objective_id,
                title="",
                payload_type=draw(st.sampled_from(PayloadType)),
                voting_group=draw(st.sampled_from([DIRECT, DELEGATES])),
                proposals=tuple(proposal(next(numbers), draw(st.integers(1, 16))) for _ in range(count)),
            )
        )
    return replace(SPEC, objectives=tuple(objectives))


@given(specifications(), st.integers(2 * (300 + 2 + (96 * 2 + 8) * 16), 100_000))
def test_every_proposal_is_in_one_plan_of_its_kind_in_order_and_within_limits(spec: ElectionSpec, size: int) -> None:
    template = with_block_size(size)
    plans = draft_plans(spec, DATES, template)

    expected: defaultdict[tuple[str, PayloadType], list[Proposal]] = defaultdict(list)
    for objective in sorted(spec.objectives, key=lambda objective: objective.id):
        for each in sorted(objective.proposals, key=lambda each: each.id):
            expected[objective.voting_group, objective.payload_type].append(each)
    found: defaultdict[tuple[str, PayloadType], list[Proposal]] = defaultdict(list)
    for plan in plans:
        found[plan.voting_group, plan.payload_type] += plan.proposals

    assert found == expected
    assert [plan.index for plan in plans] == list(range(len(plans)))
    for plan in plans:
        private = plan.payload_type is PayloadType.PRIVATE
        assert plan.member_keys == (MEMBER_KEYS if private else ())
        assert plan.token == voting_token(SPEC.id, plan.voting_group)
        assert 1 <= len(plan.proposals) <= 255
        assert not private or tally_size(plan.proposals, 2) <= max_tally_size(template)


@given(specifications(), st.integers())
def test_the_order_in_which_rows_are_read_changes_nothing(spec: ElectionSpec, seed: int) -> None:
    random = Random(seed)

    def shuffled(items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(items, len(items)))

    objectives = tuple(replace(each, proposals=shuffled(each.proposals)) for each in spec.objectives)
    other = replace(spec, objectives=shuffled(objectives), committee=shuffled(spec.committee))

    assert draft_plans(other, DATES, TEMPLATE) == draft_plans(spec, DATES, TEMPLATE)


def test_a_plan_ends_at_255_proposals() -> None:
    assert sizes(drafts(many(255))) == [255]
    assert sizes(drafts(many(256))) == [255, 1]
    assert sizes(drafts(many(511))) == [255, 255, 1]


def test_objectives_of_the_same_group_and_kind_share_plans() -> None:
    other = replace(PUBLIC_OBJECTIVE, id=9, proposals=(proposal(20), proposal(19)))

    (plan,) = drafts(other, PUBLIC_OBJECTIVE)

    assert [each.id for each in plan.proposals] == [1, 2, 3, 4, 5, 19, 20]


def test_groups_and_kinds_have_plans_of_their_own_in_the_order_of_their_first_proposal() -> None:
    private = replace(PRIVATE_OBJECTIVE, id=3, voting_group=DIRECT)
    empty = replace(PRIVATE_OBJECTIVE, id=0, proposals=())

    plans = drafts(private, PRIVATE_OBJECTIVE, PUBLIC_OBJECTIVE, empty)

    assert [(plan.voting_group, plan.payload_type) for plan in plans] == [
        (DIRECT, PayloadType.PUBLIC),
        (DELEGATES, PayloadType.PRIVATE),
        (DIRECT, PayloadType.PRIVATE),
    ]


def test_a_private_plan_ends_where_its_tally_would_take_more_than_half_a_block() -> None:
    private = many(20, PRIVATE_OBJECTIVE)
    half = 300 + 7 * (2 + 3 * (96 * 2 + 8))

    assert sizes(drafts(private, template=with_block_size(2 * half))) == [7, 7, 6]
    assert sizes(drafts(private, template=with_block_size(2 * half - 1))) == [6, 6, 6, 2]


@pytest.mark.parametrize("members", [1, 2, 3, 7])
def test_the_tally_of_a_private_plan_fits_into_an_argument_of_a_command_however_large_blocks_are(members: int) -> None:
    committee = tuple(replace(COMMITTEE[0], index=index) for index in range(members))
    spec = replace(SPEC, objectives=(many(600, PRIVATE_OBJECTIVE),), committee=committee)

    first, *_ = draft_plans(spec, DATES, with_block_size(2 * 10**7))

    shares, results = [bytes(3 * 96)] * members, [0] * 3
    content = private_tally(bytes(32), [(shares, results)] * len(first.proposals))
    assert len(content) <= tally_size(first.proposals, members) <= MAX_CERTIFICATE_SIZE
    subprocess.run(["true", Certificate(Kind.VOTE_TALLY, content).text()], check=True)
    one_more = tally_size([*first.proposals, first.proposals[0]], members)
    assert len(first.proposals) == 255 or one_more > MAX_CERTIFICATE_SIZE, "no smaller than it must be"


def test_a_certificate_of_more_bytes_does_not_fit() -> None:
    subprocess.run(["true", Certificate(Kind.VOTE_TALLY, bytes(MAX_CERTIFICATE_SIZE)).text()], check=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true", Certificate(Kind.VOTE_TALLY, bytes(MAX_CERTIFICATE_SIZE + 1)).text()], check=True)


def test_a_public_plan_is_not_cut_by_the_size_of_blocks() -> None:
    assert sizes(drafts(many(20), template=with_block_size(100))) == [20]


def test_each_group_of_each_election_has_a_token_of_its_own() -> None:
    tokens = [voting_token(election, group) for election in (1, 11, 12) for group in ("", "1", "direct", "größe " * 99)]

    assert len(set(tokens)) == len(tokens)
    for policy, name in (token.split(".") for token in tokens):
        assert policy == "0" * 56
        assert len(bytes.fromhex(name)) == 8


def test_a_token_never_changes() -> None:
    assert voting_token(7, DIRECT) == f"{'0' * 56}.215433e4cb27e891"


def test_the_document_is_what_jcli_reads() -> None:
    objective = replace(PRIVATE_OBJECTIVE, proposals=(proposal(6),))

    (plan,) = drafts(objective)

    assert plan.document() == {
        "payload_type": "private",
        "vote_start": {"epoch": 1, "slot_id": 0},
        "vote_end": {"epoch": 169, "slot_id": 0},
        "committee_end": {"epoch": 193, "slot_id": 0},
        "proposals": [{"external_id": proposal(6).external_id.hex(), "options": 3, "action": "off_chain"}],
        "committee_member_public_keys": list(MEMBER_KEYS),
        "voting_token": voting_token(SPEC.id, DELEGATES),
    }
