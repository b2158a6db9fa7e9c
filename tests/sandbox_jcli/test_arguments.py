"""Command lines are read like jcli reads them."""

import pytest
from node_fsm_sandbox.jcli.arguments import Argument, Command, Option
from node_fsm_sandbox.jcli.errors import UsageError
from node_fsm_sandbox.jcli.values import unsigned

COMMAND = Command(
    lambda values: None,
    (
        Option("keys", "KEYS", short="k", many=True),
        Option("count", "count", unsigned(8), default="3"),
        Option("fast"),
        Argument("FIRST", required=True),
        Argument("second"),
    ),
)


def read(*words: str) -> dict[str, object]:
    return COMMAND.read(["do"], words)


USUAL = {"keys": [], "count": 3, "fast": False, "first": "a", "second": None}


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["a"], {}),
        (["a", "b"], {"second": "b"}),
        (["--fast", "a", "--count", "5", "b"], {"fast": True, "count": 5, "second": "b"}),
        (["--count=5", "a"], {"count": 5}),
        (["a", "--keys", "x", "y"], {"keys": ["x", "y"]}),
        (["--keys", "x", "y", "--", "a"], {"keys": ["x", "y"]}),
        (["--keys", "x", "--fast", "a", "-k", "y"], {"keys": ["x", "y"], "fast": True}),
        (["-kx", "--", "a"], {"keys": ["x"]}),
        (["-k=x", "--", "a"], {"keys": ["x"]}),
        (["--", "a", "--fast"], {"second": "--fast"}),
        (["-"], {"first": "-"}),
    ],
)
def test_reading(words: list[str], values: dict[str, object]) -> None:
    assert read(*words) == USUAL | values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "The following required arguments were not provided:\n    <FIRST>"),
        (["a", "b", "c"], "Found argument 'c' which wasn't expected, or isn't valid in this context"),
        (["a", "--fas"], "Found argument '--fas' which wasn't expected, or isn't valid in this context"),
        (["a", "-x"], "Found argument '-x' which wasn't expected, or isn't valid in this context"),
        (
            ["a", "--count", "1", "--count", "2"],
            "The argument '--count <count>' was provided more than once, but cannot be used multiple times",
        ),
        (["a", "--count"], "The argument '--count <count>' requires a value but none was supplied"),
        (["a", "--count", "--fast"], "The argument '--count <count>' requires a value but none was supplied"),
        (["a", "--count", "256"], "Invalid value for '--count <count>': number too large to fit in target type"),
        (["a", "--count", "x"], "Invalid value for '--count <count>': invalid digit found in string"),
    ],
)
def test_wrong_usage(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as failure:
        read(*words)
    assert failure.value.message == message
