"""Moments and spans of time as people say them."""

from datetime import UTC, datetime, timedelta

from node_fsm.core.spans import spoken


def span(length: timedelta) -> str:
    """How long that is, in its two largest units: ``3 d 4 h``, ``12 min 5 s``; the sign is left out."""
    return spoken(abs(round(length.total_seconds())))


def when(moment: datetime, now: datetime) -> str:
    """How far *moment* is from *now*: ``in 3 h``, ``5 min 2 s ago``."""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def utc(moment: datetime) -> str:
    """*moment* in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def local(moment: datetime) -> str:
    """*moment* in this machine's time zone (TZ), with its name."""
    here = moment.astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S} {here.tzname()}"
