"""What a check finds: ok or what to do, and never nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from node_fsm.core.errors import ServiceError, as_service_error
from node_fsm.log import redact


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    DOUBT = "doubt"
    """A service works with it; a person may want to look."""

    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one check: *said* is what was seen, or what is wrong, by its reason in the runbook, and what to do."""

    area: str
    check: str
    verdict: Verdict
    said: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a check returns instead of what it saw, when that can be lived with."""

    said: str


class NotTriedError(Exception):
    """Raised by a check that makes no sense here, saying why."""


Check = Callable[[], Awaitable[str | Doubt]]
"""Returns what it saw, and raises what is wrong."""


async def examine(area: str, name: str, check: Check, seconds: float) -> Finding:
    """What *check* finds within *seconds*, whatever it raises. What is secret is not in it."""
    try:
        async with asyncio.timeout(seconds):
            seen = await check()
    except NotTriedError as error:
        return Finding(area, name, Verdict.SKIPPED, str(error))
    except TimeoutError:
        return Finding(area, name, Verdict.FAILED, f"there was no answer within {seconds:g} s; see what holds it up")
    except ServiceError as error:
        return Finding(area, name, Verdict.FAILED, redact(str(error)))
    except Exception as error:  # noqa: BLE001 - the checks after it are made all the same
        return Finding(area, name, Verdict.FAILED, redact(str(as_service_error(error, f"the check of {name}"))))
    if isinstance(seen, Doubt):
        return Finding(area, name, Verdict.DOUBT, redact(seen.said))
    return Finding(area, name, Verdict.OK, redact(seen))
