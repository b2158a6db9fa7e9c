"""Trying what archives need of an S3 store, so that nothing of it stays."""

from contextlib import suppress

from node_fsm.core.errors import PermanentError, ServiceError
from node_fsm.ports.object_errors import ObjectExistsError
from node_fsm.s3.errors import UnsupportedError
from node_fsm.s3.store import S3Store, parse_object


class TrialStore(S3Store):
    """A store in which multipart uploads are tried, and from which an object may be taken away again."""

    async def try_multipart(self, uri: str, data: bytes) -> bool:
        """Upload *data* in one part to *uri*, which has just these bytes already, and abort it.

        Whether the store refuses to write over what is there when it is told to. Raises what the store raises
        otherwise.
        """
        target = parse_object(uri)
        created = await self._request(
            "create_multipart_upload",
            target,
            lambda: self._client.create_multipart_upload(Bucket=target.bucket, Key=target.key, **self._checksummed),
        )
        upload_id = created["UploadId"]
        try:
            part = await self._send_part(target, upload_id, (1, data))
            await self._complete(target, upload_id, [part], {"IfNoneMatch": "*"})
        except ObjectExistsError:
            return True
        except UnsupportedError:
            return False
        finally:
            with suppress(PermanentError):  # completed after all, or not allowed: that is found by what comes next
                await self._abort(target, upload_id)
        return False

    async def remove(self, uri: str) -> bool:
        """Delete the object, of a bucket with versions this version; whether that is allowed."""
        target = parse_object(uri)
        try:
            head = await self._request(
                "head_object", target, lambda: self._client.head_object(Bucket=target.bucket, Key=target.key)
            )
            version = {"VersionId": head["VersionId"]} if head.get("VersionId") else {}
            await self._request(
                "delete_object",
                target,
                lambda: self._client.delete_object(Bucket=target.bucket, Key=target.key, **version),  # type: ignore[arg-type]
            )
        except ServiceError:
            return False
        return True
