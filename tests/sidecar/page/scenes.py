"""A cluster of four as leader 0 sees it in each phase of an election with public and private votes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from node_fsm.core.block_date import BlockDate
from node_fsm.core.chain_time import ChainClock, ChainDates
from node_fsm.core.cluster_status import (
    ClusterArchive,
    ClusterElection,
    ClusterNode,
    ClusterStatus,
    LeaseHolder,
    MemberShares,
    NodeKind,
    ProposalResult,
    Stage,
    Standing,
    ToldCondition,
)
from node_fsm.core.conditions import Condition, ConditionType
from node_fsm.core.events import Event
from node_fsm.core.model import ArchiveKind, JournalEntry
from node_fsm.core.payload_type import PayloadType
from node_fsm.core.phases import NODE_MUST_RUN, Phase, Role
from node_fsm.core.table import TABLES, phases_of
from node_fsm.core.tally_progress import MemberProgress, TallyProgress
from node_fsm.core.view import Deadline
from node_fsm.engine.status import Move, ServiceStatus
from node_fsm.ports.node import NodeStatus, ProcessPhase
from node_fsm.sidecar.page.render import Known, Reading
from node_fsm.sidecar.page.series import Sample

NOW = datetime(2026, 3, 8, 11, 20, 30, tzinfo=UTC)
CHAIN = "5a1e" * 16
VOTING_START, VOTING_END = NOW - timedelta(days=6), NOW + timedelta(hours=3, minutes=12)
TALLYING_END = VOTING_END + timedelta(days=1)
DATES = ChainDates(
    ChainClock(VOTING_START - timedelta(hours=1), 10, 360), BlockDate(1, 0), BlockDate(149, 0), BlockDate(173, 0)
)

PATH = (
    (Phase.WAITING, Event.ELECTION_DUE, Phase.FETCHING_KEY, "the chain of fund9 begins at 2026-03-02T10:20:30+00:00"),
    (Phase.FETCHING_KEY, Event.KEY_FETCHED, Phase.BUILDING_VOTE_PLAN, "the key is this node's"),
    (Phase.BUILDING_VOTE_PLAN, Event.VOTE_PLAN_BUILT, Phase.GENERATING_BLOCK0, "3 plans have their certificates"),
    (Phase.GENERATING_BLOCK0, Event.BLOCK0_PUBLISHED, Phase.RUNNING, "block 0 of 1,204,122 bytes is published"),
    (Phase.RUNNING, Event.VOTING_ENDED, Phase.TALLYING, "the tip is dated 149.2, and voting ended at 149.0"),
    (Phase.TALLYING, Event.RESULTS_POSTED, Phase.ARCHIVING, "the results of 3 plans stand in the database"),
    (Phase.ARCHIVING, Event.ARCHIVED, Phase.RESET, "the archive was read back and verified"),
)
NODE_PATH = (
    (Phase.WAITING, Event.BLOCK0_POSTED, Phase.FETCHING_KEY, "block 0 of fund9 is in the database"),
    (Phase.FETCHING_KEY, Event.KEY_FETCHED, Phase.RUNNING, "the key is this node's"),
    (Phase.RUNNING, Event.ELECTION_CLOSED, Phase.RESET, "the final archive of this chain is verified"),
)


def status(phase: Phase, role: Role = Role.LEADER0) -> ServiceStatus:
    """The service in *phase*, with a condition in phases in which there is much to say of it."""
    path = PATH if role is Role.LEADER0 else NODE_PATH
    last = next((number for number, (_, _, target, _) in enumerate(path, 1) if target is phase), 0)
    moves = tuple(
        Move(source, event, target, NOW - timedelta(hours=2 * (last - number)) - timedelta(minutes=23), why)
        for number, (source, event, target, why) in enumerate(path[:last], 1)
    )
    runs = phase in NODE_MUST_RUN
    works = phase is not Phase.WAITING
    published = phase in {Phase.RUNNING, Phase.TALLYING, Phase.ARCHIVING, Phase.RESET}
    times = {"voting_end": VOTING_END, "tallying_end": TALLYING_END, "close": TALLYING_END + timedelta(hours=1)}
    return ServiceStatus(
        phase=phase,
        since=moves[-1].at if moves else NOW - timedelta(hours=5),
        role=role,
        hostname="leader0" if role is Role.LEADER0 else "leader1",
        election="fund9" if works else None,
        block0_hash=CHAIN if published else None,
        next_deadline=Deadline("voting_end", VOTING_END) if runs else None,
        conditions=CONDITIONS.get(phase, ()),
        last_error="S3Unavailable: s3.example does not answer; it is tried again" if phase is Phase.ARCHIVING else None,
        last_tick=1000.0,
        database_known=True,
        node_problems=(),
        tally=_tally() if phase is Phase.TALLYING else None,
        seconds_left=86400.0 if phase is Phase.TALLYING else None,
        deadlines=tuple(Deadline(name, at) for name, at in times.items()) if runs or not works else (),
        moves=moves,
        node=_node(runs),
        votes=18234 if published else None,
    )


CONDITIONS = {
    Phase.WAITING: (
        Condition(
            ConditionType.CLOCK_WRONG, "ClockWrong", "this clock is 3.2 s ahead of the database's; see to it", NOW
        ),
    ),
    Phase.RUNNING: (
        Condition(
            ConditionType.SPEC_DRIFT,
            "HotReloadOff",
            "the election was edited after block 0 was published (voting_end 2026-03-08 became 2026-03-09); put it"
            " back, or set NODE_FSM_HOT_RELOAD",
            NOW - timedelta(hours=7),
        ),
        Condition(
            ConditionType.ISOLATED,
            "NodeWithoutPeers",
            "no other node is connected for 4 min; see that /ip4/10.0.0.7/tcp/10090 is reached from outside",
            NOW - timedelta(minutes=4),
        ),
    ),
    Phase.TALLYING: (
        Condition(
            ConditionType.SHARES_MISSING,
            "SharesMissing",
            "member 2 has not posted shares of 1 plan; remind them of `node-fsm committee share`",
            NOW - timedelta(minutes=9),
        ),
    ),
}


def _node(runs: bool) -> NodeStatus:
    if not runs:
        return NodeStatus(phase=ProcessPhase.STOPPED, since=NOW)
    return NodeStatus(
        phase=ProcessPhase.RUNNING,
        since=NOW - timedelta(days=2),
        block0_hash=CHAIN,
        height=52301,
        tip="ab" * 32,
        tip_date=BlockDate(145, 123),
        last_block_time=NOW - timedelta(seconds=8),
        peers_connected=3,
    )


def _tally() -> TallyProgress:
    members = tuple(
        MemberProgress(index, f"ristretto255_memberpk1{'q' * 40}{index}", plans)
        for index, plans in enumerate((2, 2, 1))
    )
    return TallyProgress(CHAIN, 2, 1, members, TALLYING_END)


def samples() -> tuple[Sample, ...]:
    """Three hours of a chain: a service that was away for half an hour, votes that come faster at the end."""
    said = []
    for minute in range(0, 180, 2):
        if 60 < minute < 92:
            continue
        at = NOW - timedelta(minutes=180 - minute)
        joined = minute not in {0, 92}
        said.append(Sample(at, 51221 + 6 * minute, 9000 + 20 * minute + minute**2 // 6 if minute > 4 else None, joined))
    return tuple(said)


def cluster(phase: Phase) -> ClusterStatus:
    """What the database says meanwhile."""
    ended = phase in {Phase.ARCHIVING, Phase.RESET}
    stages = {
        Phase.RUNNING: Stage.VOTING,
        Phase.TALLYING: Stage.TALLYING,
        Phase.ARCHIVING: Stage.COUNTED,
        Phase.RESET: Stage.ARCHIVED,
    }
    published = phase in stages
    fund9 = ClusterElection(
        id=9,
        name="fund9",
        stage=stages.get(phase, Stage.TO_COME),
        voting_start=VOTING_START,
        voting_end=VOTING_END,
        tallying_end=TALLYING_END,
        block0_hash=CHAIN if published else None,
        dates=DATES if published else None,
        plans=3,
        private_plans=2,
        decrypted=2 if ended else 0,
        committee=tuple(
            MemberShares(index, f"ristretto255_memberpk1{'q' * 40}{index}", 2 if ended else 0) for index in range(3)
        ),
        results=results() if ended else (),
        archives=(_archive("fund9", NOW - timedelta(minutes=20)),) if phase is Phase.RESET else (),
    )
    fund8 = ClusterElection(
        id=8,
        name="fund8",
        stage=Stage.ARCHIVED,
        voting_start=VOTING_START - timedelta(days=90),
        voting_end=VOTING_END - timedelta(days=90),
        tallying_end=TALLYING_END - timedelta(days=90),
        block0_hash="b8" * 32,
        plans=1,
        archives=(_archive("fund8", NOW - timedelta(days=88)),),
    )
    fund10 = ClusterElection(
        id=10, name="fund10", stage=Stage.UNREADABLE, fault="election.voting_end of fund10 is before voting_start"
    )
    return ClusterStatus(
        at=NOW - timedelta(seconds=7),
        nodes=_nodes(phase),
        elections=(fund8, fund9, fund10),
        journal=tuple(
            JournalEntry("leader0", 9, "fund9", source, event, target, NOW - timedelta(hours=number), why)
            for number, (source, event, target, why) in enumerate(reversed(PATH))
        ),
        lease=LeaseHolder("leader0", NOW + timedelta(seconds=20), stopped=False, unconfirmed=None),
    )


def _nodes(phase: Phase) -> tuple[ClusterNode, ...]:
    runs = phase in NODE_MUST_RUN

    def node(name: str, kind: NodeKind | None, standing: Standing = Standing.HEARD, **more: object) -> ClusterNode:
        base = ClusterNode(
            hostname=name,
            is_listed=True,
            kind=kind,
            standing=standing,
            heard_at=NOW - timedelta(seconds=12),
            phase=phase if name == "leader0" or phase is Phase.RUNNING else "Running" if runs else "Waiting",
            since=NOW - timedelta(hours=3),
            election="fund9",
            height=52301 if runs else None,
            peers=3 if runs else None,
            votes=18234 if runs else None,
            next_deadline=Deadline("voting_end", VOTING_END) if runs else None,
            version="1.0.0",
        )
        return replace(base, **more)  # type: ignore[arg-type]

    stalled = ToldCondition("chain_stalled", "NoNewBlock", "no block for 4 min; see whether the leaders run", NOW)
    return (
        node("leader0", NodeKind.LEADER0),
        node("follower0", NodeKind.FOLLOWER, conditions=(stalled,)),
        node("leader1", NodeKind.LEADER),
        node("leader2", NodeKind.LEADER, Standing.SILENT, heard_at=NOW - timedelta(minutes=41)),
        node("leader-2-old", None, Standing.STOPPED, is_listed=False, heard_at=NOW - timedelta(days=3)),
    )


def _archive(name: str, at: datetime) -> ClusterArchive:
    return ClusterArchive(
        ArchiveKind.FINAL, f"s3://archives/{name}/2026-03-08T11-00-30Z/archive.tar.zst", 48_211_932, at
    )


def results() -> tuple[ProposalResult, ...]:
    """Five proposals, one of a private plan, one without its title any more, one with no vote."""
    votes = ((182_331, 91_022, 4_120), (12, 90_871_223, 0), (5_000, 5_000, 0), (0, 0, 0), (77_123, 1_221, 310))
    titles = (
        "A library of verified smart contracts",
        "Wallets for feature phones",
        None,
        "Translations",
        "Meetups in every region",
    )
    return tuple(
        ProposalResult(
            plan_id=f"{number:x}" * 64,
            index=number,
            payload_type=PayloadType.PRIVATE if number == 4 else PayloadType.PUBLIC,
            voting_group="direct",
            objective="Developer ecosystem" if number < 3 else "Community",
            title=title,
            options=("yes", "no", "abstain"),
            votes=counted,
        )
        for number, (title, counted) in enumerate(zip(titles, votes, strict=True))
    )


def known(phase: Phase, role: Role = Role.LEADER0) -> Known:
    """All that the page of a service in *phase* is made of."""
    plotted = samples() if phase in NODE_MUST_RUN else ()
    return Known(NOW, status(phase, role), Reading(cluster(phase)), plotted)


ALL = [(role, phase) for role in Role for phase in phases_of(TABLES[role])]
