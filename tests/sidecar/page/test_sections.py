"""What the sections say, in every phase; and that nothing that others wrote becomes markup."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase, Role
from node_fsm.core.table import TABLES
from node_fsm.engine.status import ServiceStatus
from node_fsm.sidecar.page.render import MOST_RESULTS, SECTIONS, Known, Reading, Renderer
from node_fsm.sidecar.page.runbook import anchors, as_html, packaged_runbook
from node_fsm.sidecar.page.text import LONGEST_TEXT
from tests.sidecar.page import scenes

VOID = {"br", "col", "img", "input", "link", "meta"}
ATTACK = (
    """</bdi></style></script><script>alert(1)</script><img src=x onerror='alert(1)'>"><svg/onload=alert(1)>{{7*7}}"""
)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(anchors(packaged_runbook().read_text()))


class Page(HTMLParser):
    """A document's elements, well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def values(self, name: str) -> list[str]:
        """What the attribute *name* is, wherever it stands."""
        return [value or "" for _, attributes in self.elements for key, value in attributes.items() if key == name]


def document(renderer: Renderer, known: Known) -> str:
    return renderer.document(known, renderer.sections(known))


@pytest.mark.parametrize(("role", "phase"), scenes.ALL)
def test_every_phase_has_a_whole_page(renderer: Renderer, role: Role, phase: Phase) -> None:
    html = document(renderer, scenes.known(phase, role))
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(SECTIONS) <= set(ids)
    for name in ("aria-labelledby", "href"):
        for value in page.values(name):
            if name == "aria-labelledby" or value.startswith("#"):
                assert value.removeprefix("#") in ids
    [lit] = re.findall(r'<p class="phase">(.*)</p>', html)
    assert lit == phase
    assert re.findall(r">when (.*)</p>", unescape(html)) == [row.when for row in TABLES[role] if row.source is phase]
    for move in scenes.status(phase, role).moves:
        assert move.why in unescape(html)


@pytest.mark.parametrize(("role", "phase"), scenes.ALL)
def test_nothing_is_styled_or_run_in_the_page_or_taken_from_elsewhere(
    renderer: Renderer, role: Role, phase: Phase
) -> None:
    page = Page(document(renderer, scenes.known(phase, role)))
    names = {name for _, attributes in page.elements for name in attributes}
    assert [name for name in names if name == "style" or name.startswith("on")] == []
    assert [tag for tag, attributes in page.elements if tag == "style"] == []
    assert [attributes for tag, attributes in page.elements if tag == "script" and "src" not in attributes] == []
    assert [value for value in page.values("src") if not value.startswith("/page/")] == []
    assert [value for value in page.values("href") if not value.startswith(("/", "#", "s3://"))] == []


def texts(value: Any) -> Iterator[str]:
    """Every text in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from texts(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


def hostile(value: Any, attack: str) -> Any:
    """A record in which every text that is not one of our own names is an *attack*."""
    if type(value) is str:
        return attack
    if isinstance(value, tuple):
        changed = [hostile(each, attack) for each in value]
        return type(value)(*changed) if hasattr(value, "_fields") else tuple(changed)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: hostile(getattr(value, field.name), attack) for field in fields(value)})
    return value


@pytest.mark.parametrize(("role", "phase"), scenes.ALL)
def test_whatever_others_wrote_stays_text(renderer: Renderer, role: Role, phase: Phase) -> None:
    plain = scenes.known(phase, role)
    attacked = hostile(plain, ATTACK)
    assert ATTACK in set(texts(attacked))
    html = document(renderer, attacked)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{7*7}}" in html
    elements = {tag for tag, _ in Page(html).elements}
    assert elements <= {tag for tag, _ in Page(document(renderer, plain)).elements} | {"a", "strong", "p"}
    assert [tag for tag, attributes in Page(html).elements if any(name.startswith("on") for name in attributes)] == []
    assert [value for value in Page(html).values("href") if "alert" in value] == []


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "//evil.example/x", "S3://x", " s3://x"])
def test_an_archive_is_linked_only_where_it_is_in_s3(renderer: Renderer, uri: str) -> None:
    known = scenes.known(Phase.RESET)
    assert known.reading.cluster is not None
    election = known.reading.cluster.elections[1]
    election = replace(election, archives=(replace(election.archives[0], uri=uri),))
    cluster = replace(known.reading.cluster, elections=(election,))
    html = renderer.sections(replace(known, reading=Reading(cluster)))["archives"]
    assert "href" not in html
    assert uri.strip() in html


def test_no_password_and_no_turned_writing_gets_onto_the_page(renderer: Renderer) -> None:
    leak = "cannot reach postgresql://fsm:hidden@db/e with ed25519_sk1hidden \u202eexe.txt"
    html = document(renderer, hostile(scenes.known(Phase.RUNNING), leak))
    assert "postgresql://fsm:***@db/e" in html
    assert "hidden" not in html.replace("aria-hidden", "")
    assert "\u202e" not in html


def test_long_texts_are_cut(renderer: Renderer) -> None:
    html = document(renderer, hostile(scenes.known(Phase.RUNNING), "x" * 1_000_000))
    assert len(html) < 500 * LONGEST_TEXT
    assert "…" in html


def test_a_thousand_proposals_are_not_all_drawn(renderer: Renderer) -> None:
    known = scenes.known(Phase.RESET)
    assert known.reading.cluster is not None
    election = replace(known.reading.cluster.elections[1], results=scenes.results() * 200)
    cluster = replace(known.reading.cluster, elections=(election,))
    html = renderer.sections(replace(known, reading=Reading(cluster)))["results"]
    assert html.count("<article") == MOST_RESULTS
    assert f"And {1000 - MOST_RESULTS} proposals more" in html


@pytest.mark.parametrize(("role", "phase"), scenes.ALL)
def test_without_a_database_the_page_shows_the_rest_and_says_so(renderer: Renderer, role: Role, phase: Phase) -> None:
    known = replace(scenes.known(phase, role), reading=Reading(None, "DatabaseUnavailable: no answer"))
    sections = renderer.sections(known)
    assert "The database was not read: <bdi>DatabaseUnavailable: no answer</bdi>" in sections["nodes"]
    for name in ("results", "elections", "archives", "journal"):
        assert "Not known: the database was not read." in sections[name]
    assert f'<p class="phase">{phase}</p>' in sections["now"]


def test_an_older_reading_is_said_to_be_older(renderer: Renderer) -> None:
    known = scenes.known(Phase.RUNNING)
    html = renderer.sections(replace(known, reading=replace(known.reading, problem="no answer")))["nodes"]
    assert "no answer" in html
    assert "What is shown is of" in html
    assert "leader-2-old" in html


def test_results_are_bars_of_the_most_votes(renderer: Renderer) -> None:
    html = renderer.sections(scenes.known(Phase.ARCHIVING))["results"]
    first = html.split("</article>")[0]
    assert re.findall(r'<rect width="([\d.]+)"', first) == ["100.0", "49.92", "2.26"]
    assert re.findall(r"([\d.]+)&nbsp;%", first) == ["65.7", "32.8", "1.5"]
    assert "Proposal 2" in html  # whose row is gone


def test_the_committee_is_told_by_leader0_where_it_knows_and_else_by_the_database(renderer: Renderer) -> None:
    known = scenes.known(Phase.TALLYING)
    assert "Plans with a share that holds" in renderer.sections(known)["committee"]
    assert "awaited" in renderer.sections(known)["committee"]
    other = replace(known, status=replace(known.status, tally=None))
    assert "Plans with a share posted" in renderer.sections(other)["committee"]


def test_while_the_next_election_is_at_work_the_last_ones_results_are_shown(renderer: Renderer) -> None:
    known = scenes.known(Phase.RESET)
    assert known.reading.cluster is not None
    coming = replace(known.reading.cluster.elections[0], id=11, name="fund11", results=(), committee=())
    cluster = replace(known.reading.cluster, elections=(*known.reading.cluster.elections, coming))
    known = replace(known, status=replace(known.status, election="fund11"), reading=Reading(cluster))
    sections = renderer.sections(known)
    assert "<bdi>fund9</bdi>, in units of voting power" in sections["results"]
    assert "No private votes are to be opened" in sections["committee"]


def test_what_several_nodes_say_is_shown_once(renderer: Renderer) -> None:
    known = scenes.known(Phase.RUNNING)
    assert known.reading.cluster is not None
    stalled = known.reading.cluster.nodes[1].conditions
    nodes = tuple(replace(node, conditions=stalled) for node in known.reading.cluster.nodes)
    html = renderer.sections(replace(known, reading=Reading(replace(known.reading.cluster, nodes=nodes))))["conditions"]
    assert "<bdi>follower0</bdi>, <bdi>leader1</bdi></strong>: chain stalled" in html
    assert html.count("no block for 4 min") == 1


def held(status: ServiceStatus) -> set[str]:
    return {condition.type for condition in status.conditions}


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.RUNNING, Phase.TALLYING])
def test_conditions_say_what_to_do_and_lead_to_their_entry(renderer: Renderer, phase: Phase) -> None:
    known = scenes.known(phase)
    html = renderer.sections(known)["conditions"]
    entries = Page(as_html(packaged_runbook().read_text())).values("id")
    links = Page(html).values("href")
    assert len(links) >= len(held(known.status)) > 0
    for condition in known.status.conditions:
        assert condition.message in unescape(html)
    for link in links:
        path, _, fragment = link.partition("#")
        assert path == "/runbook"
        assert fragment in entries


def test_the_runbook_has_a_place_for_every_condition_and_no_link_to_what_is_not_here() -> None:
    page = Page(as_html(packaged_runbook().read_text()))
    assert {str(type_) for type_ in ConditionType} <= set(page.values("id"))
    assert len(page.values("id")) == len(set(page.values("id")))
    for link in page.values("href"):
        assert link.removeprefix("#") in page.values("id")
