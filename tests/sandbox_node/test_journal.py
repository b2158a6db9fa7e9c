"""Tables go back to how they were at any earlier mark."""

from hypothesis import given
from hypothesis import strategies as st
from node_fsm_sandbox.node.journal import Journal, Table

CHANGES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers()), max_size=30)


@given(before=CHANGES, after=CHANGES)
def test_rollback(before: list[tuple[int, int, int]], after: list[tuple[int, int, int]]) -> None:
    journal = Journal()
    tables: list[Table[int, int]] = [Table(journal), Table(journal)]
    for table, key, value in before:
        tables[table][key] = value
    mark, then = journal.mark(), [dict(table) for table in tables]
    for table, key, value in after:
        tables[table][key] = value
    journal.rollback(mark)
    assert [dict(table) for table in tables] == then
    journal.rollback(0)
    assert [dict(table) for table in tables] == [{}, {}]
