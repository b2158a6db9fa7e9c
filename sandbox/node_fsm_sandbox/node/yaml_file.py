"""YAML as the node reads it: version 1.2, where ``yes`` and dates are words and a key stands once."""

import re
from pathlib import Path
from typing import Any

import yaml

from node_fsm_sandbox.node.schema import SchemaError

_BOOL = "tag:yaml.org,2002:bool"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_NOT_MORE_THAN_A_NODE_READS = 2**24


class _Loader(yaml.SafeLoader):
    """The safe loader with the booleans of YAML 1.2, and without dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class has it so
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in {_BOOL, _TIMESTAMP}]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise SchemaError(f"duplicate field `{key}`")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_BOOL, re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def read_yaml(file: Path) -> Any:
    """The one document in *file*, which may be a pipe; OSError, SchemaError."""
    with file.open("rb") as stream:
        data = stream.read(_NOT_MORE_THAN_A_NODE_READS)
    try:
        document = yaml.load(data, _Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        context = f"{error.context}, " if error.context else ""
        problem = str(error.problem).partition(", but ")[0]
        raise SchemaError(f"{context}{problem} at {_place(error)}") from None
    except RecursionError:
        raise SchemaError("recursion limit exceeded") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SchemaError(str(error)) from None
    if document is None:
        raise SchemaError("EOF while parsing a value")
    return document


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return f"line {mark.line + 1} column {mark.column + 1}" if mark else "an unknown place"
