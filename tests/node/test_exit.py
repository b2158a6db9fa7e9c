"""What the exits of a node mean."""

import pytest

from node_fsm.node.exit import Remedy, explain


@pytest.mark.parametrize("code", [2, 3, 4, 7, 8, 13, 127])
def test_what_a_person_must_mend(code: int) -> None:
    assert explain(code, ()).remedy is Remedy.REPAIR


@pytest.mark.parametrize("code", [0, 1, 9, 10, 12, 101, 134, 137, 143])
def test_what_another_start_may_mend(code: int) -> None:
    assert explain(code, ()).remedy is Remedy.RESTART


@pytest.mark.parametrize("code", [5, 6])
def test_damaged_storage(code: int) -> None:
    assert (explain(code, ()).remedy, explain(code, ()).reason) == (Remedy.SET_ASIDE, "StorageDamaged")


def test_storage_in_use_is_not_damaged() -> None:
    end = explain(5, ("Error in the storage", ' |-> could not acquire lock on "/data/volatile/db"'))
    assert (end.remedy, end.reason) == (Remedy.RESTART, "StorageLocked")


@pytest.mark.parametrize("code", [3, 5, 101])
@pytest.mark.parametrize(
    "said",
    [
        " |-> IO error: No space left on device (os error 28)",
        'Io(Os { code: 28, kind: StorageFull, message: "No space left on device" })',
    ],
)
def test_storage_on_a_full_disk_is_not_damaged(code: int, said: str) -> None:
    end = explain(code, ("Storage error", " |-> database backend error", said))
    assert (end.remedy, end.reason) == (Remedy.REPAIR, "DiskFull")


def test_says_what_the_node_said() -> None:
    end = explain(8, ("Error while loading the node's secrets.", " |-> Invalid Node secret file", *"abcdef"))
    assert end.reason == "SigningKeyRefused"
    assert "NODE_FSM_SIGNING_KEY_S3_URI" in end.message
    assert end.message.endswith("(Error while loading the node's secrets. |-> Invalid Node secret file a b c)")


def test_names_the_signal() -> None:
    assert explain(137, ()).message == "the node ended with code 137: signal 9 killed it"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("jormungandr cannot be started: Too many open files", "DescriptorsExhausted"),
        ("jormungandr cannot be started: Resource temporarily unavailable", "ProcessesExhausted"),
        ("jormungandr cannot be started: Cannot allocate memory", "MemoryExhausted"),
        ("could not acquire lock on db: Resource temporarily unavailable", "StorageLocked"),
    ],
)
def test_what_the_system_lacks_is_no_missing_executable(said: str, reason: str) -> None:
    end = explain(127, (said,))
    assert (end.remedy, end.reason) == (Remedy.RESTART, reason)
