"""``/api/v0``."""

import resource
from http import HTTPStatus

from node_fsm_sandbox.node import views
from node_fsm_sandbox.node.arguments import SIMPLE_VERSION
from node_fsm_sandbox.node.http_server import BINARY, Response
from node_fsm_sandbox.node.messages import read_fragment
from node_fsm_sandbox.node.posting import post_fragments, verdict_response
from node_fsm_sandbox.node.rest import (
    Call,
    Route,
    bad_request,
    get,
    hash_in,
    internal_error,
    not_found,
    post,
    public_key_in,
)

_TOPICS = {"blocks", "fragments"}


def _shutdown(call: Call) -> Response:
    call.context.shut_down()
    return Response(HTTPStatus.OK)


def _stats(call: Call) -> Response:
    services = call.services
    peers, mempool = services.peers, services.mempool
    return Response.json(
        {"version": SIMPLE_VERSION, "state": "Running"}
        | services.stats.shown()
        | {
            "peerAvailableCnt": len(peers.available()),
            "peerConnectedCnt": peers.connected_count,
            "peerQuarantinedCnt": len(peers.quarantined()),
            "peerTotalCnt": len(peers.available()) + len(peers.quarantined()),
            "txRecvCnt": mempool.accepted_count,
            "mempoolUsageRatio": mempool.usage,
            "mempoolTotalSize": mempool.size,
            "txRejectedCnt": mempool.rejected_count,
        }
    )


def _settings(call: Call) -> Response:
    return Response.json(views.settings(call.chain, call.services.stats.last_block_time()))


def _tip(call: Call) -> Response:
    return Response.text(call.chain.tip.id)


def _account(call: Call) -> Response:
    key = public_key_in(call.words[0])
    account = call.chain.ledger.accounts.get(key)
    if account is None:
        raise not_found()
    return Response.json(views.account(account))


def _block(call: Call) -> Response:
    block_id = hash_in(call.words[0])
    if block_id not in call.chain:
        raise not_found()
    return Response(HTTPStatus.OK, call.chain.raw(block_id), BINARY)


def _next_ids(call: Call) -> Response:
    count = call.request.query.get("count", "1")
    if not count.isdecimal():
        raise bad_request("Invalid query string")
    height = call.chain.height_of(hash_in(call.words[0]))
    if height is None:
        raise not_found()
    last = min(height + int(count), call.chain.tip.height)
    ids = [bytes.fromhex(call.chain.at(number).id) for number in range(height + 1, last + 1)]
    return Response(HTTPStatus.OK, b"".join(ids), BINARY)


def _message(call: Call) -> Response:
    message = read_fragment(call.request.body)
    if message is None:
        raise internal_error("failed to fill whole buffer")
    return verdict_response(post_fragments(call.services, [message], fail_fast=True))


def _fragment_logs(call: Call) -> Response:
    return Response.json([views.log_entry(entry) for entry in call.services.mempool.log()])


def _leaders_logs(call: Call) -> Response:
    return Response.json(call.services.leader_log.shown())


def _network_stats(call: Call) -> Response:
    return Response.json(call.services.peers.connections_shown())


def _p2p(call: Call) -> Response:
    peers = call.services.peers
    match call.words[0]:
        case "available":
            return Response.json(peers.available())
        case "quarantined":
            return Response.json(peers.quarantined())
        case "non_public":
            return Response.json(peers.non_public())
        case "view":
            return Response.json(peers.view())
        case _:
            raise not_found()


def _p2p_view(call: Call) -> Response:
    if call.words[0] not in _TOPICS:
        raise internal_error("Invalid topic")
    return Response.json(call.services.peers.view())


def _vote_plans(call: Call) -> Response:
    votes = call.chain.ledger.plans
    return Response.json([views.plan(votes, plan) for plan in votes.all()])


def _committees(call: Call) -> Response:
    return Response.json(list(call.chain.ledger.parameters.committees))


def _utxo(call: Call) -> Response:
    hash_in(call.words[0])
    raise not_found()  # an election's money is in accounts


def _diagnostic(_: Call) -> Response:
    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    seconds, _hard = resource.getrlimit(resource.RLIMIT_CPU)
    return Response.json({"open_files_limit": files, "cpu_usage_limit": seconds % 2**64})


ROUTES: list[Route] = [
    get("shutdown", _shutdown),
    post("shutdown", _shutdown),
    get("node/stats", _stats),
    get("settings", _settings),
    get("tip", _tip),
    get("account/*", _account),
    get("block/*", _block),
    get("block/*/next_id", _next_ids),
    post("message", _message),
    get("fragment/logs", _fragment_logs),
    get("leaders/logs", _leaders_logs),
    get("network/stats", _network_stats),
    get("network/p2p/*", _p2p),
    get("network/p2p/view/*", _p2p_view),
    get("vote/active/plans", _vote_plans),
    get("vote/active/committees", _committees),
    get("diagnostic", _diagnostic),
    # What follows is about stake, which a BFT chain has none of.
    get("stake", lambda _: Response.json(None)),
    get("stake_pools", lambda _: Response.json([])),
    get("rewards/remaining", lambda _: Response.json(0)),
    get("rewards/history/*", lambda _: Response.json([])),
    get("utxo/*/*", _utxo),
]
