"""The dashboard: its queries are ones that Prometheus takes, and they find something in a recorded election."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.promtool import needs_promtool, play
from tests.monitoring.recording import INTERVAL, played
from tests.monitoring.series import written

FILES = sorted((Path(__file__).parents[2] / "deploy" / "grafana").glob("*.json"))

OF_NOTHING = {"Alerts", "Failed attempts"}
"""Panels that are empty while all is well."""

NOT_RECORDED = {"Private plans", "Calls to the database", "Calls to S3", "Memory", "Open files"}
"""Panels of what the recording leaves out, or of another election."""


def dashboard(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text())
    assert isinstance(content, dict)
    return content


def panels(file: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(file)["panels"] if panel["type"] != "row"]


def queries(file: Path) -> Iterator[tuple[str, str]]:
    """The title of a panel and one of its queries, as Grafana would ask for them with all services chosen."""
    for panel in panels(file):
        for target in panel["targets"]:
            query = re.sub(r"\$job\b", "node-fsm", target["expr"])
            yield panel["title"], query.replace("$instance", ".*").replace("$__rate_interval", "1m")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_panel_says_what_it_shows_and_none_covers_another(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(file)["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + across, place["y"] + down) for across in range(place["w"]) for down in range(place["h"])}
        assert max(across for across, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]
    titles, ids = ([panel[key] for panel in dashboard(file)["panels"]] for key in ("title", "id"))
    assert len(set(titles)) == len(titles)
    assert len(set(ids)) == len(ids)


@needs_promtool
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_query_finds_something_in_an_election(file: Path, tmp_path: Path) -> None:
    found = [
        {
            "expr": f"group(last_over_time(({query})[20m:{INTERVAL}s]))",
            "eval_time": "20m",
            "exp_samples": [] if title in OF_NOTHING | NOT_RECORDED else [{"labels": "{}", "value": 1}],
        }
        for title, query in queries(file)
    ]
    series = [{"series": str(key), "values": written(values)} for key, values in played().items()]
    play(
        tmp_path,
        INTERVAL,
        {"name": file.name, "interval": f"{INTERVAL}s", "input_series": series, "promql_expr_test": found},
    )
    assert {title for title, _ in queries(file)} >= OF_NOTHING | NOT_RECORDED
