"""The report: what came of the demo, for programs. Its names are part of the interface."""

from typing import Any

from node_fsm_sandbox.demo.binaries import Binaries
from node_fsm_sandbox.demo.outcome import ElectionOutcome, NodeOutcome, Outcome


def report(outcome: Outcome, binaries: Binaries) -> dict[str, Any]:
    """The JSON object of ``--report``."""
    return {
        "ok": outcome.matched,
        "elections": [_election(election) for election in outcome.elections],
        "nodes": {node.hostname: _node(node) for node in outcome.nodes},
        "jcli_version": binaries.jcli_version,
        "jormungandr_version": binaries.jormungandr_version,
    }


def _election(election: ElectionOutcome) -> dict[str, Any]:
    archive = election.archive
    return {
        "name": election.drawn.name,
        "block0_hash": election.block0_hash,
        "expected": election.drawn.expected(),
        "results": election.results,
        "archive": {"uri": archive.uri if archive else None, "verified": bool(archive and archive.verified)},
    }


def _node(node: NodeOutcome) -> dict[str, Any]:
    return {
        "role": node.kind,
        "restarts": node.restarts,
        "phases": [{"election": step.election, "phase": step.phase, "at": step.at.isoformat()} for step in node.steps],
    }
