"""Every metric and label that is named anywhere exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.monitoring.exported import BY_PROMETHEUS, exported, types
from tests.monitoring.promtool import RULES
from tests.monitoring.queries import grouping, matchers, metrics
from tests.monitoring.test_dashboard import FILES, dashboard, panels

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")])

ALERTS = {"ALERTS": {"alertname", "alertstate", "severity"}, "up": set[str]()}
"""What Prometheus adds by itself, with labels."""

NO_METRICS = {
    "node_fsm_sandbox",
    *re.findall(r"node_fsm_\w+", (ROOT / "deploy" / "postgres" / "roles.sql").read_text()),
}
"""What is named like a metric and is none: a package, roles in the database."""


def rules() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def of_dashboards() -> Iterator[tuple[str, str]]:
    for file in FILES:
        for panel in panels(file):
            yield from ((panel["title"], target["expr"]) for target in panel["targets"])
        for variable in dashboard(file)["templating"]["list"]:
            if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
                yield variable["name"], f"group by ({found[2]}) ({found[1]})"


def of_pages() -> Iterator[tuple[str, str]]:
    """What stands in code on a page and chooses series of ours, or puts them together."""
    for page in PAGES:
        for code in re.findall(r"`([^`]*node_fsm_[^`]*)`", page.read_text()):
            if re.search(r"[{(]", code):
                yield page.name, code


QUERIES = [*rules(), *of_dashboards(), *of_pages()]


@pytest.mark.parametrize("query", [query for _, query in QUERIES], ids=[where for where, _ in QUERIES])
def test_a_query_names_what_is_exported(query: str) -> None:
    named = metrics(query)
    assert named
    labels = {name: {*exported()[name]} if name in exported() else ALERTS[name] for name in named}
    for metric, label, values in matchers(query):
        if label in BY_PROMETHEUS:
            continue
        assert label in labels[metric], f"{metric} has no label {label}"
        known = exported()[metric][label] if metric in exported() else ()
        for value in values:
            assert not known or value in known, f"{label} of {metric} is never {value}"
    assert grouping(query) <= BY_PROMETHEUS.union({"alertname"}, *labels.values())


def test_each_place_is_seen_where_a_name_may_stand() -> None:
    query = 'sum by (a, le) (rate(m_bucket{b="x", c=~"y|z"}[5m])) / on (d) group_left (e) n - 1e9 > bool time() or o'
    assert metrics(query) == {"m_bucket", "n", "o"}
    assert grouping(query) == {"a", "le", "d", "e"}
    assert [*matchers(query)] == [("m_bucket", "b", ("x",)), ("m_bucket", "c", ("y", "z"))]


def test_pages_name_metrics_that_are_exported() -> None:
    for page in PAGES:
        for name in re.findall(r"\bnode_fsm_[a-z0-9_]+", page.read_text()):
            assert name in {*exported()} | NO_METRICS, f"{page.name} names {name}"


def test_the_page_on_metrics_has_their_types_and_labels() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(node_fsm_\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE)
    assert {name for name, _, _ in rows} == {name for name in types() if name.startswith("node_fsm_")}
    for name, type_, labels in rows:
        assert type_ == types()[name], name
        counted = f"{name}_count" if type_ == "histogram" else name
        assert set(re.findall(r"`(\w+)`", labels)) == {*exported()[counted]}, name


def test_what_is_shown_of_labels_is_exported() -> None:
    labels = BY_PROMETHEUS.union(*exported().values())
    shown = re.findall(r"\$labels\.(\w+)", RULES.read_text())
    for file in FILES:
        for panel in panels(file):
            for target in panel["targets"]:
                shown += re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
    assert shown
    assert set(shown) <= labels
