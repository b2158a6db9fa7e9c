"""The way into the demo."""

from pathlib import Path

from node_fsm_sandbox.servers.interrupted import leave_when_signalled


def run(*, report: Path | None, jcli: Path | None, jormungandr: Path | None, keep: Path | None) -> int:
    """Run the demo by the options of its command line; its exit code."""
    leave_when_signalled()
    from node_fsm_sandbox.demo.run import Options, run_demo

    return run_demo(Options(report=report, jcli=jcli, jormungandr=jormungandr, keep=keep))
