"""``/api/v1``."""

import json
from http import HTTPStatus
from typing import Any

from node_fsm_sandbox.node import views
from node_fsm_sandbox.node.http_server import JSON, Response
from node_fsm_sandbox.node.messages import Message, read_fragment
from node_fsm_sandbox.node.posting import post_fragments, verdict_response
from node_fsm_sandbox.node.rest import Call, HttpError, Route, bad_request, get, hash_in, not_found, post, public_key_in
from node_fsm_sandbox.node.schema import flag


def _post(call: Call) -> Response:
    if call.request.headers.get("content-type", JSON).partition(";")[0].strip() != JSON:
        unsupported = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise HttpError(Response.text("The request's content-type is not supported", unsupported))
    try:
        batch = json.loads(call.request.body)
        fail_fast, messages = flag(batch["fail_fast"]), list(map(_read_hex, batch["fragments"]))
    except KeyError as error:
        raise _unreadable(f"missing field `{error.args[0]}`") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(str(error)) from None
    return verdict_response(post_fragments(call.services, messages, fail_fast=fail_fast))


def _statuses(call: Call) -> Response:
    asked = call.request.query.get("fragment_ids")
    if asked is None:
        raise bad_request("Invalid query string")
    ids = [hash_in(text) for text in asked.split(",")]
    mempool = call.services.mempool
    return Response.json({id_: status for id_ in ids if (status := mempool.status(id_)) is not None})


def _logs(call: Call) -> Response:
    return Response.json([views.log_entry(entry) for entry in call.services.mempool.log()])


def _account_votes(call: Call) -> Response:
    account, votes = public_key_in(call.words[0]), call.chain.ledger.plans
    return Response.json([{"vote_plan_id": plan.id, "votes": votes.votes_of(plan, account)} for plan in votes.all()])


def _account_votes_on(call: Call) -> Response:
    plan_id, account, votes = call.words[0].lower(), public_key_in(call.words[1]), call.chain.ledger.plans
    for plan in votes.all():
        if plan.id == plan_id:
            return Response.json(votes.votes_of(plan, account))
    raise not_found()


def _all_votes(call: Call) -> Response:
    shown = {
        account.hex(): [{"vote_plan_id": plan_id, "votes": indices} for plan_id, indices in plans.items()]
        for account, plans in call.chain.ledger.plans.votes_of_all().items()
    }
    return Response.json(shown)


def _read_hex(text: Any) -> Message:
    message = read_fragment(bytes.fromhex(text))
    if message is None:
        raise ValueError("failed to fill whole buffer")
    return message


def _unreadable(cause: str) -> HttpError:
    return bad_request(f"Request body deserialize error: {cause}")


ROUTES: list[Route] = [
    post("fragments", _post),
    get("fragments/statuses", _statuses),
    get("fragments/logs", _logs),
    get("votes/plan/account-votes/*", _account_votes),
    get("votes/plan/*/account-votes/*", _account_votes_on),
    get("votes/plan/accounts-votes-all", _all_votes),
]
