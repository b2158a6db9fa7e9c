"""All faults of the matrix, by id."""

from tests.faults.matrix.database import (
    CommitUnanswered,
    DatabaseDown,
    DatabaseReadOnly,
    DatabaseSilent,
    FailedOver,
    NotificationsLost,
    PostgresKilled,
    PostgresStopped,
)
from tests.faults.matrix.fault import Fault
from tests.faults.matrix.machine import (
    ClockAhead,
    ClockBehind,
    DescriptorsExhausted,
    DiskFull,
    LogBlocked,
    MemoryExhausted,
)
from tests.faults.matrix.node import NODE_EXITS, JcliFails, JcliHangs, NodeHangs, NodeKilled
from tests.faults.matrix.pooler import PoolerKilled
from tests.faults.matrix.rows import (
    Block0Junk,
    EarlierInserted,
    EditedTooLate,
    EditedWithHotReload,
    OwnRowDeleted,
    RowDeleted,
    RowInvalid,
    TimesMoved,
)
from tests.faults.matrix.s3 import KeyWrong, S3Denied, S3Down, S3Forgetful, S3Slow, S3WithoutConditions
from tests.faults.matrix.service import SecondLeader0, ServiceKilled, ServiceStuck, ServiceTerminated
from tests.faults.matrix.storage import StoreDamaged, StoreLocked, StoreOfAnother

FAULTS: dict[str, type[Fault]] = {
    fault.id: fault
    for fault in (
        DatabaseDown,
        PostgresKilled,
        CommitUnanswered,
        FailedOver,
        DatabaseSilent,
        PostgresStopped,
        DatabaseReadOnly,
        NotificationsLost,
        S3Down,
        S3Denied,
        S3Slow,
        KeyWrong,
        JcliFails,
        JcliHangs,
        *NODE_EXITS,
        NodeKilled,
        NodeHangs,
        StoreDamaged,
        StoreLocked,
        StoreOfAnother,
        DiskFull,
        ClockAhead,
        ClockBehind,
        ServiceKilled,
        ServiceTerminated,
        SecondLeader0,
        TimesMoved,
        EditedTooLate,
        EditedWithHotReload,
        RowDeleted,
        EarlierInserted,
        Block0Junk,
        ServiceStuck,
        RowInvalid,
        S3Forgetful,
        S3WithoutConditions,
        DescriptorsExhausted,
        MemoryExhausted,
        LogBlocked,
        OwnRowDeleted,
        PoolerKilled,
    )
}
