"""A pytest plugin: tests of one ``xdist_group`` run in one process, with ``--dist loadgroup``.

pytest-xdist 3.8 writes the group into an attribute that pytest does not read any more since 9.2, so that it counts for
nothing.
"""

import pytest
from _pytest.nodeid import NodeId


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name items as pytest-xdist has named them."""
    for item in items:
        if named := vars(item).get("_nodeid"):
            path, _, names = named.partition("::")
            # Parsed, it would have the group within the brackets of the parameters.
            item._id = NodeId(path=path, names=tuple(names.split("::")))
