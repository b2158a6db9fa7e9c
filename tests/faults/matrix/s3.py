"""Faults of S3: away, unwilling, slow, and one that cannot or does not do what it says."""

from node_fsm_sandbox.election.wallet import Wallet

from node_fsm.core.conditions import ConditionType
from node_fsm.core.phases import Phase
from tests.faults.matrix.fault import Fault, begins, recovers, stays
from tests.faults.matrix.scene import Scene
from tests.faults.matrix.table import Cell

FAILING = ConditionType.WORK_FAILING
TOLD_IN_WAITING = (ConditionType.KEY_UNUSABLE, ConditionType.ARCHIVE_UNUSABLE)
NEEDED = frozenset({Phase.FETCHING_KEY, Phase.ARCHIVING})
"""The phases whose work needs S3."""


async def waits_for_s3(scene: Scene, phase: Phase, reason: str) -> None:
    """The phase waits where it needs S3, and goes on as ever where it does not."""
    if phase in NEEDED:
        await begins(scene, phase)
        await stays(scene, phase, FAILING, reason=reason)
    else:
        await stays(scene, phase)


class S3Down(Fault):
    """S3 refuses connections, and then answers that it is not available."""

    id = "F06"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.s3.refuse()
        await waits_for_s3(scene, cell.phase, "S3Unavailable")
        scene.front.refuse(503, "ServiceUnavailable")
        scene.s3.heal()
        await waits_for_s3(scene, cell.phase, "S3Unavailable")
        scene.front.mend()
        await recovers(scene, FAILING, *TOLD_IN_WAITING)


class S3Denied(Fault):
    """The credentials may do nothing, and then there is no such bucket: for a person to mend."""

    id = "F07"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.front.refuse(403, "AccessDenied")
        await waits_for_s3(scene, cell.phase, "S3AccessDenied")
        scene.front.refuse(404, "NoSuchBucket")
        await waits_for_s3(scene, cell.phase, "S3BucketMissing")
        scene.front.mend()
        await recovers(scene, FAILING, *TOLD_IN_WAITING)


class S3Slow(Fault):
    """S3 asks for fewer requests, and then answers by the byte: slow is not away."""

    id = "F08"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.front.refuse(503, "SlowDown")
        await begins(scene, cell.phase)
        await stays(scene, cell.phase, FAILING)
        scene.front.bytes_per_second = 1000
        scene.front.refusal = None
        await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done, slowly")
        scene.front.mend()


class KeyWrong(Fault):
    """The object with the key is gone, no key, and another's: each said by name, and mended without a restart."""

    id = "F09"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        client, bucket, name = scene.bucket.client, scene.bucket.name, scene.part.key_name
        key = client.get_object(Bucket=bucket, Key=name)["Body"].read()
        client.delete_object(Bucket=bucket, Key=name)
        await begins(scene, cell.phase)
        await stays(scene, cell.phase, FAILING, reason="S3ObjectMissing")
        client.put_object(Bucket=bucket, Key=name, Body=b"no key at all\n")
        await stays(scene, cell.phase, FAILING, reason="KeyMalformed")
        client.put_object(Bucket=bucket, Key=name, Body=Wallet().secret.reveal().encode())
        await stays(scene, cell.phase, FAILING, reason="KeyNotThisNodes")
        client.put_object(Bucket=bucket, Key=name, Body=key)
        await recovers(scene, FAILING)


class S3Forgetful(Fault):
    """S3 says that it has stored something, and has not: nothing is deleted that cannot be read back."""

    id = "F29"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.front.keeps_writes = False
        await begins(scene, cell.phase)
        await scene.eventually(lambda: scene.front.writes_lost > 0, "something is written")
        await stays(scene, cell.phase, FAILING)
        assert list((scene.storage / "elections").iterdir()), "the chain is still here"
        scene.front.mend()
        await recovers(scene, FAILING)


class S3WithoutConditions(Fault):
    """S3 knows no conditional writes: the service looks, writes and reads back instead."""

    id = "F30"

    async def strike(self, scene: Scene, cell: Cell) -> None:
        scene.front.knows_conditions = False
        await begins(scene, cell.phase)
        await scene.until(lambda state: state.phase is not cell.phase, f"{cell.phase} is done without conditions")
        scene.front.mend()
