"""A whole service as its own process, as an operator starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from node_fsm_sandbox.servers.server import LOOPBACK, free_port

POLL_SECONDS = 0.1


def node_fsm_command() -> str:
    """The console script of this environment."""
    return str(Path(sys.executable).with_name("node-fsm"))


def run_cli(environment: dict[str, str], *arguments: str) -> str:
    """Run one command of the command line to its end and return what it printed."""
    done = subprocess.run(
        [node_fsm_command(), *arguments],
        env=base_environment() | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"node-fsm {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def base_environment() -> dict[str, str]:
    """What every child needs and nothing that a test did not choose."""
    kept = ("PATH", "HOME", "LANG", "AWS_", "NO_PROXY", "NODE_FSM_JCLI_PATH", "NODE_FSM_JORM_PATH")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)}


@dataclass
class ServiceProcess:
    """One ``node-fsm run``; its log goes to *log*, through restarts."""

    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the service; it may be started again after it ended."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [node_fsm_command(), "run"],
                env=base_environment()
                | self.environment
                | {"NODE_FSM_PORT": str(self.port), "NODE_FSM_HOST": LOOPBACK, "NODE_FSM_LOG_LEVEL": "DEBUG"},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Stop it at the end of a test, however that went, and show its log."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        print(self.log.read_text(errors="replace"))

    def terminate(self, seconds: float = 60.0) -> int:
        """SIGTERM; the exit code, or TimeoutExpired when it takes longer than *seconds*."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def state(self) -> dict[str, Any] | None:
        """What /state answers; None while nothing answers."""
        try:
            answer = httpx.get(f"http://{LOOPBACK}:{self.port}/state", timeout=5, trust_env=False)
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def metrics(self) -> str:
        """What /metrics answers."""
        return httpx.get(f"http://{LOOPBACK}:{self.port}/metrics", timeout=5, trust_env=False).text

    def wait_for(self, seconds: float, **expected: object) -> dict[str, Any]:
        """Wait until /state has these values; AssertionError with the last state after *seconds*."""
        return self.wait_until(lambda state: all(state[name] == value for name, value in expected.items()), seconds)

    def wait_for_condition(self, type_: str, seconds: float) -> dict[str, Any]:
        """Wait until a condition of this type holds and return it."""
        found: list[dict[str, Any]] = []

        def holds(state: dict[str, Any]) -> bool:
            found[:] = [condition for condition in state["conditions"] if condition["type"] == type_]
            return bool(found)

        self.wait_until(holds, seconds)
        return found[0]

    def wait_until(self, holds: Any, seconds: float) -> dict[str, Any]:
        """Wait until *holds* of the state."""
        deadline = time.monotonic() + seconds
        state = None
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"the service ended with {self.process.returncode}\n{self.tail()}"
            state = self.state()
            if state and holds(state):
                return state
            time.sleep(POLL_SECONDS)  # a poll with a deadline
        raise AssertionError(f"not within {seconds} s; the last state was {json.dumps(state, indent=1)}\n{self.tail()}")

    def tail(self, lines: int = 60) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
