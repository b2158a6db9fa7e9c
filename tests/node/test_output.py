"""The node's output in the log."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from node_fsm.node.output import MAX_LINE, Lines, log_error_line, log_line


@pytest.fixture
def records() -> Iterator[list[Any]]:
    taken: list[Any] = []
    logger.configure(extra={})  # what a service that ran in this process bound for all its lines
    sink = logger.add(lambda message: taken.append(message.record), level="TRACE", format="{message}")
    yield taken
    logger.remove(sink)


def line(level: str, target: str = "jormungandr::blockchain", **fields: object) -> str:
    return json.dumps({"timestamp": "2026-01-01T00:00:00Z", "level": level, "fields": fields, "target": target})


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_lines_do_not_depend_on_how_the_stream_is_cut(data: bytes, cuts: list[int]) -> None:
    cutter, edges = Lines(), [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    found = [text for piece in pieces for text in cutter.feed(piece)] + cutter.end()
    expected = [part.decode(errors="replace") for part in data.split(b"\n")]
    assert found == (expected if expected[-1] else expected[:-1])


def test_long_lines_are_cut_and_not_kept() -> None:
    cutter = Lines()
    for _ in range(100):
        assert cutter.feed(b"x" * MAX_LINE) == []
    assert cutter.feed(b"y\nnext\n") == ["x" * MAX_LINE, "next"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [("ERROR", "ERROR"), ("WARN", "WARNING"), ("INFO", "DEBUG"), ("DEBUG", "DEBUG"), ("TRACE", "TRACE"), ("?", "INFO")],
)
def test_levels(records: list[Any], level: str, expected: str) -> None:
    log_line(line(level, message="no {peers}", reason="none", hash=5))
    assert records[0]["level"].name == expected
    assert records[0]["message"] == "no {peers} reason=none hash=5"
    assert records[0]["extra"] == {"source": "jormungandr", "target": "jormungandr::blockchain"}


def test_requests_do_not_flood_the_log(records: list[Any]) -> None:
    log_line(line("INFO", target="warp::filters::trace", message="processing request"))
    log_line(line("WARN", target="warp::filters::trace", message="unable to process request"))
    assert [record["level"].name for record in records] == ["TRACE", "WARNING"]


def test_a_node_alone_does_not_complain_every_few_seconds(records: list[Any]) -> None:
    log_line(line("WARN", target="jormungandr::topology::process", message="no peers to gossip with found"))
    log_line(line("ERROR", target="jormungandr::topology::process", message="worse"))
    assert [record["level"].name for record in records] == ["TRACE", "ERROR"]


@pytest.mark.parametrize(
    "text", ["plain {text}", '{"fields": 1}', "[1]", "[" * 10_000, '{"level": 1, "fields": {}}', "\x00"]
)
def test_anything_else_is_logged_as_it_is(records: list[Any], text: str) -> None:
    log_line(text)
    log_error_line(text)
    assert [record["extra"]["source"] for record in records] == ["jormungandr"] * 2
    assert records[1]["message"] == text
