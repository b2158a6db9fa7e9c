"""Height and votes of the chain in work over time: few samples in memory, whatever a service's life lasts."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

SAMPLE_SECONDS = 10.0
"""From one sample to the next."""

KEPT_SAMPLES = 400
"""When there are more, every second one is dropped, and those that come stand twice as far apart."""

_GAP = timedelta(seconds=3 * SAMPLE_SECONDS)


@dataclass(frozen=True, slots=True)
class Sample:
    """The chain at one moment; *votes* is None while not known. *joined*: nothing is missing since the one before."""

    at: datetime
    height: int
    votes: int | None
    joined: bool


class Series:
    """Samples of one chain, from when this service first saw it; another chain begins anew."""

    def __init__(self) -> None:
        self._chain: str | None = None
        self._samples: list[Sample] = []
        self._apart = timedelta(0)

    def of(self, chain: str | None) -> tuple[Sample, ...]:
        """Those of this chain, in the order of time; the last one is always the last that was seen."""
        return tuple(self._samples) if chain == self._chain else ()

    def add(self, chain: str, at: datetime, height: int, votes: int | None) -> None:
        """The node's chain, that of block 0 *chain*, has *height* now. Not called while none runs: that makes a gap."""
        if chain != self._chain:
            self._chain, self._samples, self._apart = chain, [], timedelta(0)
        while self._samples and self._samples[-1].at >= at:  # the clock was set back
            self._samples.pop()
        joined = bool(self._samples) and at - self._samples[-1].at <= _GAP
        if joined and len(self._samples) > 1 and at - self._samples[-2].at < self._apart:
            joined = self._samples.pop().joined
        self._samples.append(Sample(at, height, votes, joined))
        if len(self._samples) > KEPT_SAMPLES:
            self._thin()

    def _thin(self) -> None:
        """Drop every second sample, and no gap: it is as wide as what is left around it."""
        kept = self._samples[:1]
        for dropped, sample in zip(self._samples[1::2], self._samples[2::2], strict=False):
            kept.append(replace(sample, joined=sample.joined and dropped.joined))
        if len(self._samples) % 2 == 0:
            kept.append(self._samples[-1])
        self._samples = kept
        self._apart = max(2 * self._apart, timedelta(seconds=2 * SAMPLE_SECONDS))
