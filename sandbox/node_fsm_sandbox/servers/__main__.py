"""``sandbox-servers FILE``: Postgres and S3 for an election that is tried out by hand."""

import sys

from node_fsm_sandbox.servers.interrupted import leave_when_signalled


def main() -> int:
    """The console script: serve until a signal, then leave nothing behind."""
    leave_when_signalled()
    from node_fsm_sandbox.servers.serve import serve

    return serve()


if __name__ == "__main__":
    sys.exit(main())
