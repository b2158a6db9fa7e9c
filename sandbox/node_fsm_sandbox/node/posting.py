"""Fragments that are posted to the node."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from node_fsm_sandbox.node.context import Services
from node_fsm_sandbox.node.http_server import TEXT, Response
from node_fsm_sandbox.node.mempool import Verdict
from node_fsm_sandbox.node.messages import Message


def post_fragments(services: Services, messages: Sequence[Message], *, fail_fast: bool) -> Verdict:
    """Hand fragments to the mempool, and those it takes to the peers."""
    verdict = services.mempool.receive(messages, "Rest", fail_fast=fail_fast)
    accepted = set(verdict.accepted)
    for message in messages:
        if message.id in accepted:
            services.peers.announce_fragment(message.raw)
    return verdict


def verdict_response(verdict: Verdict) -> Response:
    """What the sender is told; refusals that are errors come with HTTP 400."""
    shown = {
        "accepted": verdict.accepted,
        "rejected": [{"id": fragment_id, "reason": reason} for fragment_id, reason in verdict.rejected],
    }
    if not verdict.is_error:
        return Response.json(shown)
    return Response(HTTPStatus.BAD_REQUEST, json.dumps(shown, separators=(",", ":")).encode(), TEXT)
