"""Where the files are that these tests are about."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "Containerfile"
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DEPLOY_README = ROOT / "deploy" / "README.md"
FETCH_NODE = ROOT / "deploy" / "fetch_node.py"
HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"
