"""What boto3 raises, said as the service's own errors: what to wait for, and what a person must mend."""

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
    SSLError,
)
from urllib3.exceptions import HTTPError

from node_fsm.core.errors import PermanentError, ServiceError, TemporaryError, shortage
from node_fsm.ports.object_errors import STORE_UNAVAILABLE, ObjectExistsError, ObjectMissingError

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
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"})
_UNKNOWN_KEY = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch"})
_WRONG_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"}
)
_SKEWED = "RequestTimeTooSkewed"


class UnsupportedError(PermanentError):
    """The server does not have what the request asks for, as conditional writes."""


def translate(error: Exception, operation: str, uri: str, endpoint: str) -> ServiceError:
    """The error to raise for *error*, which came of *operation* on *uri*, asked of S3 at *endpoint*.

    What boto3 raises beside its own errors is for want of something on this machine, or because what answers is no S3.
    """
    if isinstance(error, ServiceError):
        return error
    if lacking := shortage(error, f"{operation} of {uri}"):
        return lacking
    if isinstance(error, ClientError):
        return _refused(error, operation, uri, endpoint)
    if isinstance(error, SSLError):
        return TemporaryError(
            STORE_UNAVAILABLE,
            f"{operation} of {uri} has no trusted connection to {endpoint} ({error}); mend the server's certificate, or"
            " name its authority's in AWS_CA_BUNDLE",
        )
    if isinstance(error, _NO_ANSWER):
        return TemporaryError(
            STORE_UNAVAILABLE, f"{endpoint} did not answer {operation} of {uri}: {type(error).__name__}"
        )
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return PermanentError(
            "S3CredentialsMissing",
            f"there are no AWS credentials for {operation} of {uri}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or give this machine a role",
        )
    if isinstance(error, BotoCoreError):
        return PermanentError("S3Refused", f"{operation} of {uri} is not possible: {error}")
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return TemporaryError(
            STORE_UNAVAILABLE, f"{operation} of {uri} fails on this machine: {error.strerror or error}{where}"
        )
    return TemporaryError(
        STORE_UNAVAILABLE,
        f"{endpoint} answers {operation} of {uri} as no S3 does ({type(error).__name__}: {error}); check"
        " NODE_FSM_S3_ENDPOINT_URL",
    )


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
    if reason := _reason(error, status, code):
        return PermanentError(reason[0], f"{endpoint} refuses {operation} of {uri} ({answer}); {reason[1]}")
    if status in {401, 403}:
        return PermanentError(
            "S3AccessDenied",
            f"{endpoint} refuses {operation} of {uri} ({answer}); give the credentials of this service the right to it,"
            " and s3:ListBucket, without which a missing object is refused, too",
        )
    if status == 501 or code == "NotImplemented":
        return UnsupportedError(
            "S3Unsupported",
            f"{endpoint} cannot do {operation} of {uri} ({answer}); what a store must be able to do is in the runbook",
        )
    if status >= 500 or status in {408, 409, 429} or code in _BUSY:
        return TemporaryError(STORE_UNAVAILABLE, f"{endpoint} could not do {operation} of {uri} ({answer})")
    return PermanentError("S3Refused", f"{endpoint} refuses {operation} of {uri} with status {status} ({answer})")


def _reason(error: ClientError, status: int, code: str) -> tuple[str, str] | None:
    """What has a better name than a refusal: its reason, and what to do."""
    if code == _SKEWED:
        return "S3ClockSkewed", "this machine's clock and the server's differ too much, mend the one that is wrong"
    if code in _EXPIRED:
        return "S3CredentialsExpired", "renew the credentials of this service"
    if code in _UNKNOWN_KEY:
        return "S3AccessDenied", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not a pair that it knows"
    if code in _WRONG_REGION or status in {301, 307}:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = error.response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
        return "S3RegionWrong", f"set AWS_DEFAULT_REGION to {region or 'the region of the bucket'}"
    return None
