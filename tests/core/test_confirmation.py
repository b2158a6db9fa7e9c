"""A majority of block 0's leaders, and nothing less, confirms the last counted block."""

from hypothesis import given
from hypothesis import strategies as st

from node_fsm.core.confirmation import Confirmation, Statement, confirm

LEADERS = ("key0", "key1", "key2")
BLOCK = "aa"


def said(**blocks: str | None) -> list[Statement]:
    """Statements by hostname ``nodeN``, each the leader with ``keyN``."""
    return [Statement(name, f"key{name[-1]}", block) for name, block in blocks.items()]


def test_one_of_one_is_a_majority_and_one_of_two_is_not() -> None:
    assert confirm(BLOCK, ["key0"], said(node0=BLOCK)).is_majority
    assert not confirm(BLOCK, ["key0", "key1"], said(node0=BLOCK)).is_majority
    assert confirm(BLOCK, ["key0", "key1"], said(node0=BLOCK, node1=BLOCK)).is_majority


def test_it_says_who_agrees_who_differs_who_is_silent_and_who_is_unknown() -> None:
    found = confirm(BLOCK, [*LEADERS, "key3"], said(node0=BLOCK, node1="bb", node2=None))
    assert found == Confirmation(4, ("node0",), ("node1",), ("node2",), 1)
    assert not found.is_majority
    assert found.why_not == (
        "1 of 4 leaders have the last counted block (node0); node1 have another one; node2 have not said;"
        " 1 have no node in jorm_nodes"
    )


def test_followers_and_foreign_keys_confirm_nothing() -> None:
    others = [Statement("follower", None, BLOCK), Statement("stranger", "key9", BLOCK)]
    assert confirm(BLOCK, LEADERS, [*said(node0=BLOCK), *others]).agree == ("node0",)


def test_two_hosts_with_one_key_count_once() -> None:
    twice = [Statement("a", "key0", BLOCK), Statement("b", "key0", BLOCK), Statement("c", "key0", "bb")]
    found = confirm(BLOCK, LEADERS, twice)
    assert len(found.agree) == 1
    assert not found.is_majority


@given(st.lists(st.sampled_from([None, "aa", "bb"]), min_size=1, max_size=9))
def test_two_blocks_are_never_both_confirmed(blocks: list[str | None]) -> None:
    leaders = [f"key{number}" for number in range(len(blocks))]
    statements = [Statement(f"node{n}", key, block) for n, (key, block) in enumerate(zip(leaders, blocks, strict=True))]
    a, b = (confirm(block, leaders, statements) for block in ("aa", "bb"))
    assert not (a.is_majority and b.is_majority)
    assert a.is_majority == (blocks.count("aa") > len(blocks) / 2)
