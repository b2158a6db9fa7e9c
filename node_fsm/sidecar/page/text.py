"""How times, numbers and what others wrote are said on the page."""

import re
from datetime import UTC, datetime, timedelta

from node_fsm.core.spans import spoken
from node_fsm.log import redact

LONGEST_TEXT = 400
"""Letters of a title or a message; databases hold longer ones, and a page that is sent every few seconds should not."""

# What turns the writing around it about, and what no font shows; lines may break.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def utc(at: datetime) -> str:
    """A moment, as it is compared with logs."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def relative(at: datetime, now: datetime) -> str:
    """``in 3 h 12 min`` or ``2 d 1 h ago``; page.js says the same."""
    said = lasting(abs(at - now))
    return f"in {said}" if at > now else f"{said} ago"


def lasting(time: timedelta) -> str:
    """A length of time by its two largest units."""
    return spoken(int(time.total_seconds()))


def size(count: int) -> str:
    """Bytes in a unit that fits."""
    number, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"


def number(value: int) -> str:
    """With thousands parted."""
    return f"{value:,}"


def told(value: object) -> str:
    """What somebody else wrote: without passwords, without what is not seen, and not for ever."""
    text = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", redact(str(value)))
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
