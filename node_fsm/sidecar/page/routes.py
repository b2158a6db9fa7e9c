"""The page's addresses. All answer at once from memory; none asks the database, S3 or the node."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from fastapi import APIRouter, Depends, HTTPException, Request, Response, status
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from node_fsm.aio.threads import DISK, in_thread
from node_fsm.sidecar.connection import mark_as_stream
from node_fsm.sidecar.page.live import STREAMS, Live
from node_fsm.sidecar.page.render import Renderer
from node_fsm.sidecar.page.runbook import as_html

EVENTS = "/page/events"

_READ = ["GET", "HEAD"]
_STATIC = Path(__file__).parent / "static"
_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer here: nothing comes from elsewhere, nothing is run or styled that stands in the page itself."""


def routes(live: Live, renderer: Renderer, runbook: str) -> APIRouter:
    """The page, what it is made of, and its stream of changes; *runbook* is markdown."""
    router = APIRouter()
    assets = {name: (_STATIC / name).read_text() for name in _TYPES}

    @router.api_route("/", methods=_READ)
    async def page() -> Response:
        return HTMLResponse(live.document(), headers=HEADERS)

    async def one_of_few(request: Request) -> AsyncIterator[None]:
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(status.HTTP_403_FORBIDDEN, "the stream is for the page itself, not for other sites")
        if live.streams >= STREAMS:
            raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, f"there are {STREAMS} streams already")
        mark_as_stream(request)
        live.streams += 1
        try:
            yield
        finally:
            live.streams -= 1

    @router.get(EVENTS, response_class=EventSourceResponse, dependencies=[Depends(one_of_few)])
    async def events() -> AsyncIterator[ServerSentEvent]:
        async for event in live.events():
            yield event

    @router.api_route("/page/{name}", methods=_READ)
    async def asset(name: str) -> Response:
        if name not in assets:
            raise HTTPException(status.HTTP_404_NOT_FOUND)
        return Response(assets[name], media_type=_TYPES[name], headers=HEADERS)

    @router.api_route("/runbook", methods=_READ)
    async def entries() -> Response:
        html = await in_thread(DISK, as_html, runbook)
        return HTMLResponse(renderer.runbook(html), headers=HEADERS)

    return router
