"""What boto3 raises, said as the service's own errors: what to wait for, and what a person must mend."""

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, which shares nothing with the built-in one but its name
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from urllib3.exceptions import HTTPError

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError
from node_fsm.ports.object_errors import ObjectExistsError, ObjectMissingError

UNAVAILABLE: Final = "S3Unavailable"

_NO_ANSWER = (
    HTTPError,
    HTTPClientError,
    ConnectionError,
    IncompleteReadError,
    FlexibleChecksumError,
    CredentialRetrievalError,
    MetadataRetrievalError,
)
_BUSY = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded"})
_CREDENTIALS_REFUSED = frozenset({"ExpiredToken", "InvalidToken"})


def translate(error: ClientError | BotoCoreError | HTTPError, operation: str, uri: str, endpoint: str) -> ServiceError:
    """The error to raise for *error*, which S3 at *endpoint* answered to *operation* on *uri*."""
    if isinstance(error, ClientError):
        return _refused(error, operation, uri, endpoint)
    if isinstance(error, _NO_ANSWER):
        return TemporaryError(UNAVAILABLE, f"{endpoint} did not answer {operation} of {uri}: {type(error).__name__}")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return PermanentError(
            "S3CredentialsMissing",
            f"there are no AWS credentials for {operation} of {uri}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or give this machine a role",
        )
    return PermanentError("S3Refused", f"{operation} of {uri} is not possible: {error}")


def exists(uri: str) -> ObjectExistsError:
    """The refusal to write over the object *uri*."""
    return ObjectExistsError("S3ObjectExists", f"{uri} is in S3 already; it is not overwritten")


def _refused(error: ClientError, operation: str, uri: str, endpoint: str) -> ServiceError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    answer = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
    if status == 412:
        return exists(uri)
    if code == "NoSuchUpload":
        return TemporaryError("S3UploadLost", f"the multipart upload to {uri} is gone before it was completed")
    if code == "NoSuchBucket":
        return PermanentError(
            "S3BucketMissing",
            f"{endpoint} has no bucket for {uri}; make it, or correct the URI in the settings",
        )
    if status == 404:
        return ObjectMissingError(
            "S3ObjectMissing", f"{endpoint} has no object {uri}; put it there, or correct the URI in the settings"
        )
    if status in {401, 403} or code in _CREDENTIALS_REFUSED:
        return PermanentError(
            "S3AccessDenied",
            f"{endpoint} refuses {operation} of {uri} ({answer}); give the credentials of this service the right to it,"
            " and s3:ListBucket, without which a missing object is refused, too",
        )
    if status >= 500 or status in {408, 409, 429} or code in _BUSY:
        return TemporaryError(UNAVAILABLE, f"{endpoint} could not do {operation} of {uri} ({answer})")
    return PermanentError("S3Refused", f"{endpoint} refuses {operation} of {uri} with status {status} ({answer})")
