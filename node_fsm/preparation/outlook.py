"""What an election will be: its deadlines, plans and sizes, and all that would stop it. It only reads the database."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import starmap

from node_fsm.block0.checks.ballot import private_objectives
from node_fsm.block0.checks.capacity import blocks_too_large
from node_fsm.block0.checks.decryption import decryption_seconds
from node_fsm.block0.checks.times import time_problems
from node_fsm.block0.checks.voters import expected_size
from node_fsm.block0.forecast import PlanForecast, build_seconds, plan_forecast, plan_forecasts
from node_fsm.block0.specification import chain_dates, doubts, specification_problems
from node_fsm.block0.template import Template, load_template
from node_fsm.core.calendar import chain_calendar
from node_fsm.core.chain_time import ChainDates, chain_start
from node_fsm.core.cluster_status import ClusterNode, ClusterStatus, NodeKind, Stage, Standing, stage
from node_fsm.core.decryption import DecryptionLimit
from node_fsm.core.errors import PermanentError
from node_fsm.core.model import ElectionOverview, ElectionSpec, Overview
from node_fsm.core.progress import Progress
from node_fsm.core.view import Deadline
from node_fsm.database.administration import election_unknown
from node_fsm.database.cluster_status import read_cluster
from node_fsm.database.plans import read_plans
from node_fsm.database.session import BULK_SECONDS, Session
from node_fsm.database.specification import read_specification
from node_fsm.engine.status import DISABLING
from node_fsm.settings.model import CommandSettings

Limit = Callable[[], Awaitable[DecryptionLimit | str]]
"""Gives how long private votes may take to be opened, or why that is not known."""

_OPEN = frozenset({Stage.TO_COME, Stage.MISSED, Stage.PUBLISHED, Stage.VOTING, Stage.TALLYING, Stage.COUNTED})


@dataclass(frozen=True, slots=True)
class Outlook:
    """An election as it stands, by the settings of the machine that asks.

    *problems* would stop it, or have it begin late; *warnings* would not. *leaders* go by their turns. Sizes are in
    bytes, and None where problems leave them unknown; *decryption_seconds* also where there are no private votes.
    """

    name: str
    stage: Stage
    at: datetime
    deadlines: tuple[Deadline, ...] = ()
    dates: ChainDates | None = None
    plans: tuple[PlanForecast, ...] = ()
    voters: int | None = None
    leader0: str | None = None
    leaders: tuple[str, ...] = ()
    block0_bytes: int | None = None
    build_seconds: float | None = None
    decryption_seconds: float | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


async def outlooks(
    session: Session,
    settings: CommandSettings,
    name: str | None,
    decryption: Limit,
    progress: Progress = lambda done, total: None,
) -> tuple[Outlook, ...]:
    """The outlook of election *name*, or of all that are not over, in the order of their times.

    *decryption* is asked once there are private votes. *progress* is told how many of how many elections were looked
    at. PermanentError
    ``ElectionUnknown`` when there is none of this name, TemporaryError when the database is away.
    """
    overview, status = await read_cluster(session)
    known = {election.name: election for election in (*overview.elections, *overview.missed)}
    unreadable = [
        Outlook(row.name, Stage.UNREADABLE, status.at, problems=(row.why,))
        for row in overview.unreadable
        if name in {None, row.name}
    ]
    if name is not None and name not in known and not unreadable:
        over = next((election for election in status.elections if election.name == name), None)
        if over is None:
            raise election_unknown(name)
        return (Outlook(name, over.stage, status.at, over.deadlines, over.dates),)
    looker = _Looker(session, settings, status, overview, decryption)
    wanted = [known[name]] if name in known else [each for each in known.values() if name is None]
    wanted = [each for each in wanted if name is not None or stage(each, status.at) in _OPEN]
    found = []
    for done, each in enumerate(sorted(wanted, key=lambda each: (each.voting_start, each.id))):
        progress(done, len(wanted) if len(wanted) > 1 else 0)  # of each all voters are read at once
        found.append(await looker.look(each))
    return (*found, *unreadable)


class _Looker:
    """Looks at elections by one reading of the cluster."""

    def __init__(
        self,
        session: Session,
        settings: CommandSettings,
        status: ClusterStatus,
        overview: Overview,
        decryption: Limit,
    ) -> None:
        self._session = session
        self._settings = settings
        self._status = status
        self._overview = overview
        self._decryption = decryption
        self._limit: DecryptionLimit | str | None = None
        self._leader0 = _leader0(status, settings.hostname)
        self._template: Template | None = None
        self._template_problems: tuple[str, ...] = ()
        try:
            self._template = load_template(settings.block0_template)
        except PermanentError as error:
            self._template_problems = (error.message,)

    async def look(self, election: ElectionOverview) -> Outlook:
        """The outlook of *election*."""
        at = self._status.at
        outlook = Outlook(
            name=election.name,
            stage=stage(election, at),
            at=at,
            leader0=self._leader0,
            leaders=tuple(node.hostname for node in self._overview.nodes if node.leader_id),
            deadlines=self._row_deadlines(election),
        )
        if election.cancelled:
            return outlook
        async with self._session.transaction("outlook", BULK_SECONDS, snapshot=True) as connection:
            try:
                spec = (await read_specification(connection, election.id)).spec
            except PermanentError as error:
                return replace(outlook, problems=(error.message,))
            plans = await read_plans(connection, election.block0.hash) if election.block0 else ()
        if election.block0:
            return replace(
                outlook,
                dates=election.block0.dates,
                deadlines=self._deadlines(election.block0.dates),
                block0_bytes=election.block0.size,
                voters=sum(group.voters for group in spec.groups),
                plans=tuple(
                    plan_forecast(spec, plan.index, plan.payload_type, plan.voting_group, plan.proposals)
                    for plan in plans
                ),
                problems=tuple(self._of_the_cluster(None)),
            )
        if private_objectives(spec) and self._limit is None:
            self._limit = await self._decryption()
        return self._unpublished(outlook, election, spec)

    def _unpublished(self, outlook: Outlook, election: ElectionOverview, spec: ElectionSpec) -> Outlook:
        nodes, offset, template = self._overview.nodes, self._settings.voting_start_offset_minutes, self._template
        outlook = replace(outlook, voters=sum(group.voters for group in spec.groups))
        if template is None:
            return replace(outlook, problems=(*self._template_problems, *self._of_the_cluster(spec.voting_start)))
        limit = self._limit if isinstance(self._limit, DecryptionLimit) and private_objectives(spec) else None
        problems = specification_problems(spec, nodes, template, offset, self._leader_id(), decryption=limit)
        starts = chain_start(spec.voting_start, offset, template.slot_duration)
        plans = plan_forecasts(spec, template)
        size = expected_size(spec, template, len(outlook.leaders))
        seconds = build_seconds(size, len(plans))
        is_in_time = not list(time_problems(spec, template, offset))
        dates = chain_dates(spec, template, offset) if is_in_time else None
        unknown = self._limit if isinstance(self._limit, str) and private_objectives(spec) else None
        too_large = blocks_too_large(template)
        return replace(
            outlook,
            dates=dates,
            deadlines=self._deadlines(dates) if dates else outlook.deadlines,
            plans=plans,
            block0_bytes=size,
            build_seconds=seconds,
            decryption_seconds=decryption_seconds(spec, template, limit, 1) if limit else None,
            problems=(
                *problems,
                *_too_late(election, starts, seconds, outlook.at),
                *self._of_the_cluster(starts),
                *self._in_the_way(election),
            ),
            warnings=(
                *doubts(spec, nodes, template),
                *([too_large[1]] if too_large else ()),
                *([unknown] if unknown else ()),
                *self._to_do(election, starts),
            ),
        )

    def _deadlines(self, dates: ChainDates) -> tuple[Deadline, ...]:
        close = dates.committee_end_time + timedelta(minutes=self._settings.close_grace_minutes)
        return tuple(starmap(Deadline, chain_calendar(dates, close).items()))

    def _row_deadlines(self, election: ElectionOverview) -> tuple[Deadline, ...]:
        names = ("voting_start", "voting_end", "tallying_end")
        return tuple(Deadline(name, getattr(election, name)) for name in names)

    def _leader_id(self) -> str | None:
        row = self._overview.node(self._leader0)
        return row.leader_id if row else None

    def _of_the_cluster(self, starts: datetime | None) -> Iterator[str]:
        """What keeps leader 0 from its work; *starts* is when it begins to make a block 0, if it has to."""
        row, told = self._overview.node(self._leader0), _node(self._status, self._leader0)
        if row is None:
            yield (
                f"jorm_nodes has no row for {self._leader0}, which would be leader 0; `node-fsm node add"
                f" {self._leader0} --leader-id PUBLIC_KEY` adds it"
            )
        if (starts is None or starts <= self._status.at) and (told is None or told.standing is not Standing.HEARD):
            yield f"no service of leader 0, {self._leader0}, is heard of; start it"
        if told and told.standing is Standing.HEARD:
            for condition in told.conditions:
                if condition.type in DISABLING:
                    yield f"leader 0 says {condition.type}: {condition.message or 'see its /state'}"
        if self._status.lease and self._status.lease.problem:
            yield self._status.lease.problem

    def _in_the_way(self, election: ElectionOverview) -> Iterator[str]:
        """One chain runs at a time: the elections during whose voting this one should begin to vote."""
        for other in self._others(election):
            if other.voting_end >= election.voting_start:
                yield (
                    f"people still vote in {other.name} until {_text(other.voting_end)}, and one chain runs at a time:"
                    f" voting, from {_text(election.voting_start)} on, cannot begin before; move one of the two"
                )

    def _others(self, election: ElectionOverview) -> list[ElectionOverview]:
        """Those that go before it, and are not over."""
        return [
            other
            for other in self._overview.elections
            if other.id != election.id and not other.cancelled
            if other.block0 or (other.voting_start, other.id) < (election.voting_start, election.id)
        ]

    def _to_do(self, election: ElectionOverview, starts: datetime) -> Iterator[str]:
        for other in self._others(election):
            if other.voting_end < election.voting_start and other.tallying_end > starts:
                yield (
                    f"{other.name} may be tallied until {_text(other.tallying_end)}, and the chain of this election"
                    f" begins at {_text(starts)}: it begins later if that takes so long"
                )
        if starts <= self._status.at < election.voting_start:
            yield f"its chain should have begun at {_text(starts)}; leader 0 makes block 0 as soon as it can"
        told = _node(self._status, self._leader0)
        if starts > self._status.at and (told is None or told.standing is not Standing.HEARD):
            yield f"no service of leader 0, {self._leader0}, is heard of; start it before {_text(starts)}"
        missing = [
            node.hostname
            for node in self._status.nodes
            if node.kind is NodeKind.LEADER and node.is_listed and node.standing is not Standing.HEARD
            if node.hostname != self._leader0
        ]
        if missing:
            yield (
                f"nothing is heard of {', '.join(missing)}: votes are counted once more than half of the leaders have"
                " the same chain; start their services"
            )


def _too_late(election: ElectionOverview, starts: datetime, seconds: float, now: datetime) -> Iterator[str]:
    other_times = "give it other times with `node-fsm election import --replace`, or cancel it"
    if election.voting_end <= now:
        yield f"voting ended at {_text(election.voting_end)}, and there is no block 0; {other_times}"
    elif election.voting_start <= now:
        yield f"voting should have begun at {_text(election.voting_start)}, and there is no block 0 yet; {other_times}"
    elif (left := (election.voting_start - max(now, starts)).total_seconds()) < seconds:
        yield (
            f"making block 0 takes about {seconds:.1f} s, and there are {left:.0f} s for it before voting; set"
            " NODE_FSM_VOTING_START_OFFSET_MINUTES further from 0, or voting_start later"
        )


def _leader0(status: ClusterStatus, hostname: str) -> str:
    """Who says that it is leader 0, or was it last, or else this machine."""
    told = status.leader0
    if told and told.is_listed:
        return told.hostname
    return status.lease.hostname if status.lease else hostname


def _node(status: ClusterStatus, hostname: str) -> ClusterNode | None:
    return next((node for node in status.nodes if node.hostname == hostname), None)


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
