"""The routes of the sidecar. Each answers GET and HEAD at once: none asks the database, S3 or the node."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, status
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator import metrics as http_metrics

from node_fsm.engine.status import StateSource
from node_fsm.sidecar.answers import Health, State
from node_fsm.sidecar.page.routes import EVENTS

_READ = ["GET", "HEAD"]
_UNCOUNTED = ["^/heartbeat$", "^/health/", "^/metrics$", f"^{EVENTS}$"]
"""Asked every few seconds by probes and Prometheus: counting them would bury the rest. And what lasts for minutes."""


def create_app(
    source: StateSource,
    registry: CollectorRegistry,
    *,
    tick_limit: float,
    expose_state: bool,
    monotonic: Callable[[], float],
    page: APIRouter | None = None,
) -> FastAPI:
    """The sidecar's application.

    *tick_limit* is the age in seconds from which on an engine that has not looked counts as hung; *expose_state* has
    ``/state`` and the *page* answer everybody and not only loopback clients; *monotonic* is the clock of the engine's
    looks.
    """
    audience = [] if expose_state else [Depends(_only_loopback)]
    app = FastAPI(title="node-fsm", docs_url=None, redoc_url=None, openapi_url=None)
    _count_requests(app, registry)

    @app.api_route("/heartbeat", methods=_READ)
    async def heartbeat() -> Health:
        return Health.of(())

    @app.api_route("/health/live", methods=_READ)
    async def live(response: Response) -> Health:
        age = monotonic() - source.status().last_tick
        hung = (f"the engine last looked {age:.0f} s ago, the limit is {tick_limit:.0f} s",) if age > tick_limit else ()
        return _health(response, hung)

    @app.api_route("/health/ready", methods=_READ)
    async def ready(response: Response) -> Health:
        return _health(response, source.status().unready)

    @app.api_route("/metrics", methods=_READ)
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    @app.api_route("/state", methods=_READ, dependencies=audience)
    async def state() -> State:
        return State.of(source.status())

    if page:
        app.include_router(page, dependencies=audience)
    return app


def _health(response: Response, reasons: tuple[str, ...]) -> Health:
    if reasons:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health.of(reasons)


def _only_loopback(request: Request) -> None:
    """Refuse clients on other machines, those included for whom a proxy on this one asks."""
    proxied = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    if proxied or request.client is None or not is_loopback(request.client.host):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN,
            "/state and the status page answer loopback clients only;"
            " set NODE_FSM_EXPOSE_STATE=true to open them to all",
        )
    if not _is_local_name(request.url.hostname):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN,
            "/state and the status page are asked for by an IP address or as localhost: any other name may be another"
            " site's, whose scripts a browser would let read them; set NODE_FSM_EXPOSE_STATE=true to open them to all",
        )


def _is_local_name(host: str | None) -> bool:
    """Whether no site can have this name for its own and have it lead here afterwards."""
    try:
        ip_address(host or "")
    except ValueError:
        return host is None or host == "localhost" or host.endswith(".localhost")
    return True


def is_loopback(host: str) -> bool:
    """Whether a peer address is of this machine, an IPv4 one in IPv6 notation included.

    Only the address itself: service meshes have requests from everywhere come from another one there, 127.0.0.6.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address) in {"127.0.0.1", "::1"}


def _count_requests(app: FastAPI, registry: CollectorRegistry) -> None:
    """HTTP metrics by route and status; not by method, which a client may choose freely."""
    instrumentator = Instrumentator(excluded_handlers=_UNCOUNTED, registry=registry)
    for instrumentation in (http_metrics.requests, http_metrics.latency):
        instrumentator.add(instrumentation(should_include_method=False, registry=registry))
    instrumentator.instrument(app)
