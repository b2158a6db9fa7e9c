"""From what is known to HTML: one template for each section, and one around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from node_fsm import __version__
from node_fsm.core.cluster_status import ClusterElection, ClusterStatus, Standing
from node_fsm.core.printable import argument
from node_fsm.core.table import TABLES
from node_fsm.engine.status import ServiceStatus
from node_fsm.sidecar.page import text
from node_fsm.sidecar.page.diagram import ROLES, draw
from node_fsm.sidecar.page.plot import plot
from node_fsm.sidecar.page.series import Sample

SECTIONS = (
    *("now", "conditions", "diagram", "chain", "committee", "results", "elections", "nodes", "archives", "journal"),
)
"""The page from the top down; a section's template has its name."""

MOST_RESULTS = 100
"""Proposals whose results are drawn; an election of a thousand would make a page of megabytes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the database said of the cluster, None before it was read; *problem* says why it is not newer."""

    cluster: ClusterStatus | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """All that the page shows at *now*."""

    now: datetime
    status: ServiceStatus
    reading: Reading
    samples: tuple[Sample, ...]

    @property
    def election(self) -> ClusterElection | None:
        """The election in work as the database has it, else the last one with a committee."""
        own = self.status.election
        return next((election for election in self._elections() if election.name == own or election.committee), None)

    @property
    def counted(self) -> ClusterElection | None:
        """The election in work if its results are posted, else the last one whose are."""
        return next((election for election in self._elections() if election.results), None)

    def _elections(self) -> list[ClusterElection]:
        """That in work first, then the others, the last one first."""
        last_first = self.reading.cluster.elections[::-1] if self.reading.cluster else ()
        return sorted(last_first, key=lambda election: election.name != self.status.election)

    @property
    def elsewhere(self) -> tuple["Elsewhere", ...]:
        """The conditions of the other nodes that are heard of, what several of them say once."""
        nodes = self.reading.cluster.nodes if self.reading.cluster else ()
        by_condition: dict[tuple[str, str | None, str | None], list[str]] = {}
        for node in nodes:
            if node.hostname != self.status.hostname and node.standing is Standing.HEARD:
                for held in node.conditions:
                    by_condition.setdefault((held.type, held.reason, held.message), []).append(node.hostname)
        return tuple(Elsewhere(tuple(hosts), *condition) for condition, hosts in by_condition.items())


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A condition of other nodes, with the same words; nodes of an older version tell only its *type*."""

    hostnames: tuple[str, ...]
    type: str
    reason: str | None
    message: str | None


class Renderer:
    """The templates, read once. *anchor* gives the address of a reason's or condition's entry in the runbook."""

    def __init__(self, anchor: Mapping[str, str]) -> None:
        self._environment = Environment(
            loader=PackageLoader("node_fsm.sidecar.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "utc": text.utc,
            "lasting": text.lasting,
            "size": text.size,
            "number": text.number,
            "told": text.told,
            "argument": argument,
        }
        self._environment.globals |= {"version": __version__, "ROLES": ROLES, "draw": draw, "plot": plot}
        self._anchor = anchor
        for name in self._environment.list_templates():  # compiled now, so that nobody waits for it later
            self._environment.get_template(name)

    def sections(self, known: Known) -> dict[str, str]:
        """The inner HTML of each section."""
        status = known.status
        context = {
            "known": known,
            "status": status,
            "cluster": known.reading.cluster,
            "now": known.now,
            "table": TABLES[status.role],
            "moves": [(move.source, move.event) for move in status.moves],
            "relative": partial(text.relative, now=known.now),
            "runbook": self._runbook,
            "most_results": MOST_RESULTS,
        }
        return {name: self._environment.get_template(f"{name}.html").render(context) for name in SECTIONS}

    def title(self, status: ServiceStatus) -> str:
        """What the browser's tab says."""
        return text.told(f"{status.phase} · {status.hostname}")

    def announcement(self, status: ServiceStatus) -> str:
        """What a screen reader says when it changes."""
        held = ", ".join(condition.type for condition in status.conditions) or "none"
        return f"Phase {status.phase}. Conditions: {held}."

    def document(self, known: Known, sections: Mapping[str, str]) -> str:
        """The whole document, with *sections* as made by :meth:`sections`."""
        return self._environment.get_template("page.html").render(
            title=self.title(known.status),
            announcement=self.announcement(known.status),
            status=known.status,
            now=known.now,
            sections={name: Markup(html) for name, html in sections.items()},  # noqa: S704 - escaped by the templates
        )

    def runbook(self, entries: str) -> str:
        """The runbook as a document; *entries* is HTML made of a file of this package."""
        return self._environment.get_template("runbook.html").render(entries=Markup(entries))  # noqa: S704 - as above

    def _runbook(self, reason: str | None, type_: str) -> str:
        """The address of the entry of *reason*, or of the condition where there is none of that."""
        anchor = self._anchor.get(reason or "") or self._anchor.get(type_)
        return f"/runbook#{anchor}" if anchor else "/runbook"
