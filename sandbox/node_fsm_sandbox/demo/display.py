"""Showing the demo while it runs: a live screen on a terminal, one line for each change elsewhere."""

import time
from abc import ABC, abstractmethod
from typing import Self

from rich.console import Console
from rich.live import Live

from node_fsm_sandbox.demo.moment import Moment
from node_fsm_sandbox.demo.screen import Screen


class Stopwatch:
    """Seconds since the demo began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


class Display(ABC):
    """Where the demo tells what happens; *latest* is the last that it told, *moment* the last that it showed."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.latest = ""
        self.moment: Moment | None = None
        self._stopwatch = stopwatch

    def tell(self, line: str) -> None:
        """Something happened."""
        self.latest = line
        self._add(f"{self._stopwatch.seconds:6.1f} s  {line}")

    def show(self, moment: Moment) -> None:
        """This is how everything is now."""
        self.moment = moment

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def _add(self, line: str) -> None:
        """Show one more line."""


class LineDisplay(Display):
    """For logs: what happens, a line each, and no snapshots."""

    def __init__(self, console: Console, stopwatch: Stopwatch) -> None:
        super().__init__(stopwatch)
        self._console = console

    def __exit__(self, *_: object) -> None:
        pass

    def _add(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)


class LiveDisplay(Display):
    """For terminals: the cluster as it is, and the last that happened."""

    def __init__(self, console: Console, stopwatch: Stopwatch) -> None:
        super().__init__(stopwatch)
        self._news: list[str] = []
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def show(self, moment: Moment) -> None:
        super().show(moment)
        self._refresh()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _add(self, line: str) -> None:
        self._news.append(line)
        self._refresh()

    def _refresh(self) -> None:
        self._live.update(Screen(self.moment, tuple(self._news), self._stopwatch.seconds), refresh=True)


def display_for(console: Console, stopwatch: Stopwatch) -> Display:
    """The one that suits *console*."""
    return LiveDisplay(console, stopwatch) if console.is_terminal else LineDisplay(console, stopwatch)
