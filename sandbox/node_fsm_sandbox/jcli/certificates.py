"""``jcli certificate``: vote plans, votes and tallies."""

from node_fsm_sandbox.formats import certificates as certificates_write
from node_fsm_sandbox.jcli.arguments import Command, Option, Values
from node_fsm_sandbox.jcli.certificate_files import OUTPUT, write
from node_fsm_sandbox.jcli.certificate_texts import Certificate, Kind
from node_fsm_sandbox.jcli.values import digest, unsigned

PLAN_ID = Option("vote-plan-id", "vote-plan-id", digest, required=True)
PROPOSAL = Option("proposal-index", "proposal-index", unsigned(8), required=True)
CHOICE = Option("choice", "choice", unsigned(8), required=True)


def _public_vote(values: Values) -> None:
    content = certificates_write.public_vote(values["vote_plan_id"], values["proposal_index"], values["choice"])
    write(values["output"], Certificate(Kind.VOTE_CAST, content))


def _public_tally(values: Values) -> None:
    content = certificates_write.public_tally(values["vote_plan_id"])
    write(values["output"], Certificate(Kind.VOTE_TALLY, content))


COMMANDS = {
    "new": {
        "vote-cast": {
            "private": "private_votes:VOTE",
            "public": Command(_public_vote, (PLAN_ID, PROPOSAL, CHOICE, OUTPUT)),
        },
        "vote-plan": "vote_plan:COMMAND",
        "vote-tally": {
            "private": "private_votes:TALLY",
            "public": Command(_public_tally, (PLAN_ID._replace(value="id"), OUTPUT)),
        },
    },
    "print": "certificate_shown:PRINT",
    "show": {"vote-plan-id": "certificate_shown:SHOW"},
    "sign": "certificate_signing:SIGN",
}
