"""Showing the demo while it runs: a live screen on a terminal, one line for each change elsewhere."""

import time
from collections import deque
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from node_fsm.sandbox.demo.screen import render
from node_fsm.sandbox.demo.snapshot import Snapshot

_NEWS_LINES = 10


class Display(Protocol):
    """Where the demo tells what happens; *latest* is the last that it told."""

    latest: str

    def tell(self, line: str) -> None:
        """Something happened."""

    def show(self, snapshot: Snapshot) -> None:
        """This is how everything is now."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Stopwatch:
    """Seconds since the demo began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


class LineDisplay:
    """For logs: what happens, a line each, and no snapshots."""

    def __init__(self, console: Console, stopwatch: Stopwatch) -> None:
        self.latest = ""
        self._console = console
        self._stopwatch = stopwatch

    def tell(self, line: str) -> None:
        self.latest = line
        self._console.print(stamped(self._stopwatch, line), soft_wrap=True, markup=False, highlight=False)

    def show(self, snapshot: Snapshot) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class LiveDisplay:
    """For terminals: the cluster as it is, and the last that happened."""

    def __init__(self, console: Console, stopwatch: Stopwatch) -> None:
        self.latest = ""
        self._stopwatch = stopwatch
        self._news: deque[str] = deque(maxlen=_NEWS_LINES)
        self._snapshot: Snapshot | None = None
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def tell(self, line: str) -> None:
        self.latest = line
        self._news.append(stamped(self._stopwatch, line))
        self._refresh()

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._refresh()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _refresh(self) -> None:
        self._live.update(render(self._snapshot, list(self._news), self._stopwatch.seconds), refresh=True)


def display_for(console: Console, stopwatch: Stopwatch) -> Display:
    """The one that suits *console*."""
    return LiveDisplay(console, stopwatch) if console.is_terminal else LineDisplay(console, stopwatch)


def stamped(stopwatch: Stopwatch, line: str) -> str:
    """*line* with the seconds since the demo began before it."""
    return f"{stopwatch.seconds:6.1f} s  {line}"
