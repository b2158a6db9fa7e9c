"""promtool, which reads rules as Prometheus does and plays series to them."""

import json
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.series import Series, Values, written
from tests.support.polling import HANGING

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yaml"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """What promtool prints; the test fails with it when promtool finds fault, or says that something looks odd."""
    done = subprocess.run(
        ["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=HANGING, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def alerting(
    name: str, series: Mapping[Series, Values], interval: int, seconds: int, alerts: Collection[str]
) -> dict[str, Any]:
    """One of promtool's tests: with these series, a value each *interval*, exactly these *alerts* have fired by then.

    Series that no rule names are left out: promtool is ten times as quick without.
    """
    rules = RULES.read_text()
    return {
        "name": name,
        "interval": f"{interval}s",
        "input_series": [
            {"series": str(key), "values": written(values)} for key, values in series.items() if key.name in rules
        ],
        "promql_expr_test": [
            {
                "expr": f'group by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{seconds + 1}s]))',
                "eval_time": f"{seconds}s",
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(alerts)],
            }
        ],
    }


def play(directory: Path, interval: int, *tests: dict[str, Any]) -> None:
    """Have promtool run tests on our rules, which it evaluates once in *interval*."""
    file = directory / "tests.yaml"
    content = {"rule_files": [str(RULES)], "evaluation_interval": f"{interval}s", "tests": tests}
    file.write_text(json.dumps(content))  # which is YAML, too
    promtool("test", "rules", file)
