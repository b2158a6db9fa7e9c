"""The node's REST interface."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError, TemporaryError, shortage
from node_fsm.ports.answers import (
    Account,
    ChainSettings,
    FragmentStatus,
    NodeStats,
    Posted,
    VotePlanStatus,
    hex_hash,
    whole_number,
)
from node_fsm.storage.files import new_file

STATS = "v0/node/stats"
SETTINGS = "v0/settings"
TIP = "v0/tip"
VOTE_PLANS = "v0/vote/active/plans"

RECORDS = {
    "vote-plans.json": VOTE_PLANS,
    "settings.json": SETTINGS,
    "tip.txt": TIP,
    "node-stats.json": STATS,
    "fragment-logs.json": "v0/fragment/logs",
    "account-votes.json": "v1/votes/plan/accounts-votes-all",
    "network-stats.json": "v0/network/stats",
    "leaders-logs.json": "v0/leaders/logs",
}
"""What is kept of a chain at its end: file names, and what the node is asked."""

ANSWER_LIMIT = 64 * 2**20
"""Bytes of an answer that is held in memory: 65,536 proposals, or a block."""

RECORD_LIMIT = 2**30
"""Bytes of an answer that is written to a file: the log of 200,000 fragments, a million accounts with their votes."""

RECORD_SECONDS = 300.0
"""For one such answer."""

_PIECE_BYTES = 2**20
_SAID_CHARACTERS = 200
"""So much of what the node said is in an error."""
_HASH_BYTES = 32
_STATUSES_AT_ONCE = 100  # ids of 64 characters in one URL
BOOTSTRAPPING = "NodeBootstrapping"
"""The reason of the TemporaryError that says: the node is there, its chain not yet."""

_CONTEXT_MISSING = b"context not available"

T = TypeVar("T")


class NodeRest:
    """A client of the node at *base_url*, which ends in ``/api``; a whole answer may take *timeout* seconds.

    Every method raises TemporaryError: ``NodeUnavailable`` when the node does not answer, ``NodeBootstrapping``
    while it loads its chain, ``NodeAnswerUnknown`` when an answer is not what it should be; and PermanentError
    ``NodeRefused`` when the node calls the request wrong. Close it, or use it as a context manager.
    """

    def __init__(self, base_url: str, timeout: float = 10.0) -> None:
        # No proxy, whatever the environment says: the node is ours, mostly on the loopback interface.
        self._timeout = timeout
        # Nothing is unpacked: of a few kilobytes that would make gigabytes.
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=timeout, trust_env=False, headers={"Accept-Encoding": "identity"}
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the node."""
        await self._client.aclose()

    async def save(self, path: str, file: Path) -> None:
        """Write the answer to GET *path* into *file* as the node printed it, a piece at a time.

        OSError when *file* cannot be written.
        """
        async with self._answering("GET", path, RECORD_SECONDS) as response:
            if not response.is_success:
                raise _refused("GET", path, await _whole(path, response))
            async with new_file(file) as new:
                async for piece in _pieces(path, response, RECORD_LIMIT):
                    await in_thread(DISK, new.write, piece)

    async def stats(self) -> NodeStats:
        """The node's statistics, its tip among them."""
        return await self._get(STATS, NodeStats.parse)

    async def settings(self) -> ChainSettings:
        """The chain's parameters."""
        return await self._get(SETTINGS, ChainSettings.parse)

    async def tip(self) -> str:
        """The hex hash of the newest block."""
        answer = await self._request("GET", TIP)
        try:
            return hex_hash(answer.content.decode("ascii").strip())
        except ValueError as error:
            raise _unknown(TIP, error) from error

    async def block(self, block_id: str) -> bytes | None:
        """A block's bytes; None when the node does not have it."""
        response = await self._request("GET", f"v0/block/{block_id}", absent_is_fine=True)
        return None if response.status == httpx.codes.NOT_FOUND else response.content

    async def next_ids(self, block_id: str, count: int) -> list[str] | None:
        """Up to *count* hex ids of the blocks after *block_id*, oldest first; None when it is not on the main chain."""
        path = f"v0/block/{block_id}/next_id"
        response = await self._request("GET", path, params={"count": count}, absent_is_fine=True)
        if response.status == httpx.codes.NOT_FOUND:
            return None
        ids = response.content
        if len(ids) % _HASH_BYTES:
            raise _unknown(path, ValueError(f"{len(ids)} bytes are no whole number of ids"))
        return [ids[start : start + _HASH_BYTES].hex() for start in range(0, len(ids), _HASH_BYTES)]

    async def account(self, public_key: str) -> Account | None:
        """The account of a hex public key; None when the ledger does not have it."""
        path = f"v0/account/{public_key}"
        response = await self._request("GET", path, absent_is_fine=True)
        return None if response.status == httpx.codes.NOT_FOUND else _parse(path, response, Account.parse)

    async def vote_plans(self) -> dict[str, VotePlanStatus]:
        """All plans on the chain by id, also those that other accounts added."""
        plans = await self._get(VOTE_PLANS, lambda answer: [VotePlanStatus.parse(plan) for plan in answer])
        return {plan.id: plan for plan in plans}

    async def post_fragment(self, raw: bytes) -> Posted:
        """Post a transaction; accepted means that it waits in the mempool, not that it is in a block."""
        return (await self._post("v0/message", 1, content=raw))[0]

    async def post_fragments(self, fragments: Sequence[bytes]) -> tuple[Posted, ...]:
        """Post many transactions at once, in this order; one that is refused does not stop the others."""
        batch = {"fail_fast": False, "fragments": [raw.hex() for raw in fragments]}
        return await self._post("v1/fragments", len(fragments), json=batch)

    async def fragment_statuses(self, fragment_ids: Collection[str]) -> dict[str, FragmentStatus]:
        """What became of these fragments; those the node does not know (after its restart: all) are left out."""
        ids = list(fragment_ids)
        statuses: dict[str, FragmentStatus] = {}
        for start in range(0, len(ids), _STATUSES_AT_ONCE):
            asked = ",".join(ids[start : start + _STATUSES_AT_ONCE])
            path = "v1/fragments/statuses"
            response = await self._request("GET", path, params={"fragment_ids": asked})
            statuses |= _parse(
                path, response, lambda answer: {key: FragmentStatus.parse(value) for key, value in answer.items()}
            )
        return statuses

    async def account_votes(self, public_key: str) -> dict[str, tuple[int, ...]]:
        """The proposals, by plan id and index, that the account of a hex public key has voted on."""
        path = f"v1/votes/plan/account-votes/{public_key}"
        response = await self._request("GET", path, absent_is_fine=True)
        if response.status == httpx.codes.NOT_FOUND:
            return {}
        return _parse(
            path,
            response,
            lambda answer: {hex_hash(plan["vote_plan_id"]): tuple(map(whole_number, plan["votes"])) for plan in answer},
        )

    async def _get(self, path: str, parse: Callable[[Any], T]) -> T:
        return _parse(path, await self._request("GET", path), parse)

    async def _post(self, path: str, count: int, **body: Any) -> tuple[Posted, ...]:
        """The node's verdict on *count* fragments, which it also gives together with HTTP 400."""

        def verdicts(answer: Any) -> tuple[Posted, ...]:
            posted = Posted.parse(answer)
            if len(posted) != count:
                raise ValueError(f"{len(posted)} verdicts on {count} fragments")
            return posted

        answer = await self._send("POST", path, **body)
        if answer.is_success or (answer.status == httpx.codes.BAD_REQUEST and answer.content.startswith(b"{")):
            return _parse(path, answer, verdicts)
        raise _refused("POST", path, answer)

    async def _request(self, method: str, path: str, *, absent_is_fine: bool = False, **request: Any) -> "_Answer":
        answer = await self._send(method, path, **request)
        if answer.is_success or (absent_is_fine and answer.status == httpx.codes.NOT_FOUND):
            return answer
        raise _refused(method, path, answer)

    async def _send(self, method: str, path: str, **request: Any) -> "_Answer":
        async with self._answering(method, path, self._timeout, **request) as response:
            return await _whole(path, response)

    @asynccontextmanager
    async def _answering(self, method: str, path: str, seconds: float, **request: Any) -> AsyncIterator[httpx.Response]:
        """The node's answer, of which the body is to be read within *seconds*; none that is the server's error."""
        try:
            async with asyncio.timeout(seconds), self._client.stream(method, path, **request) as response:
                if response.is_server_error:
                    answer = await _whole(path, response)
                    raise TemporaryError(
                        BOOTSTRAPPING if _CONTEXT_MISSING in answer.content else "NodeUnavailable",
                        f"the node answers {method} {path} with HTTP {answer.status}: {answer.said}",
                    )
                yield response
        except TimeoutError as error:
            raise TemporaryError(
                "NodeUnavailable", f"the node does not answer {method} {path} within {seconds:g} s"
            ) from error
        except httpx.HTTPError as error:
            raise shortage(error, f"{method} {path} of the node") or TemporaryError(
                "NodeUnavailable", f"the node does not answer {method} {path}: {str(error) or type(error).__name__}"
            ) from error


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer."""

    status: int
    content: bytes

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)

    @property
    def said(self) -> str:
        return self.content[:_SAID_CHARACTERS].decode(errors="replace").strip()


async def _whole(path: str, response: httpx.Response) -> _Answer:
    content = bytearray()
    async for piece in _pieces(path, response, ANSWER_LIMIT):
        content += piece
    return _Answer(response.status_code, bytes(content))


async def _pieces(path: str, response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces; TemporaryError ``NodeAnswerUnknown`` when it has more than *limit* bytes."""
    size = 0
    async for piece in response.aiter_raw(_PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise _unknown(path, ValueError(f"it has more than {limit} bytes"))
        yield piece


def _parse(path: str, answer: _Answer, parse: Callable[[Any], T]) -> T:
    try:
        return parse(json.loads(answer.content))
    except NOT_AS_EXPECTED as error:
        raise _unknown(path, error) from error


def _unknown(path: str, error: Exception) -> TemporaryError:
    said = repr(error)[:_SAID_CHARACTERS]
    return TemporaryError("NodeAnswerUnknown", f"the node's answer to {path} is not understood: {said}")


def _refused(method: str, path: str, answer: _Answer) -> PermanentError:
    return PermanentError(
        "NodeRefused",
        f"the node refuses {method} {path} with HTTP {answer.status}: {answer.said}",
    )
