"""What services export: every metric with its labels and the values that those can have."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from httpx import ASGITransport, AsyncClient
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from node_fsm.core.phases import Role
from node_fsm.metrics import Metrics
from node_fsm.sidecar.app import create_app
from tests.monitoring.recording import recording
from tests.monitoring.series import Series, scraped
from tests.sidecar.states import Source

Labels = Mapping[str, frozenset[str]]
"""The values that were seen, by label."""

BY_PROMETHEUS = {"job", "instance"}


@cache
def exported() -> Mapping[str, Labels]:
    """By the names that queries use: what services of both roles export, in an election too."""
    series: set[Series] = {*recording()}
    names: dict[str, defaultdict[str, set[str]]] = {}
    for role in Role:
        text = asyncio.run(_scrape(role))
        series |= scraped(text).keys()
        for family in _families(text):
            names[family.name + _SUFFIX.get(family.type, "")] = defaultdict(set)
    for name, labels in series:
        values = names.setdefault(name, defaultdict(set))
        for label, value in labels:
            values[label].add(value)
    return {
        name: {label: frozenset(values) for label, values in labels.items() if label not in BY_PROMETHEUS}
        for name, labels in names.items()
    }


@cache
def types() -> Mapping[str, str]:
    """The type of each metric, by its name as the documentation has it."""
    families = [*_families(asyncio.run(_scrape(Role.LEADER0)))]
    found = {family.name + _SUFFIX.get(family.type, ""): family.type for family in families}
    return {name: "gauge" if name.endswith("_info") else type_ for name, type_ in found.items()}


_SUFFIX = {"counter": "_total"}


def _families(text: str) -> Iterator[Metric]:
    """Without those that the client adds about creation times."""
    return (family for family in text_string_to_metric_families(text) if not family.name.endswith("_created"))


async def _scrape(role: Role) -> str:
    """What the sidecar of a service answers that has just begun and was asked once; it has called database and S3."""
    metrics = Metrics(role)
    for call in (metrics.database_call, metrics.s3_call):
        with call("overview"):
            pass
    app = create_app(Source(), metrics.registry, tick_limit=60, expose_state=True, monotonic=lambda: 0)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://sidecar") as http:
        await http.get("/state")
        return (await http.get("/metrics")).text
