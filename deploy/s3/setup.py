"""Makes a bucket for each policy beside this file, and sets it: python setup.py, as whoever may do so.

The server is NODE_FSM_S3_ENDPOINT_URL, whose start is waited for; the credentials are boto3's or, as files, those of
the service's settings. It may be run again: a bucket that is there is kept, its policy set anew.
"""

import os
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CREDENTIALS = {"aws_access_key_id": "AWS_ACCESS_KEY_ID_FILE", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY_FILE"}


def main() -> None:
    """Make and set all of them."""
    files = {name: os.environ[variable] for name, variable in CREDENTIALS.items() if variable in os.environ}
    client = boto3.client(
        "s3",
        endpoint_url=os.environ.get("NODE_FSM_S3_ENDPOINT_URL"),
        config=Config(retries={"mode": "standard", "total_max_attempts": 8}),
        **{name: Path(file).read_text().strip() for name, file in files.items()},
    )
    there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for policy in sorted(Path(__file__).parent.glob("*.json")):
        if policy.stem not in there:
            client.create_bucket(Bucket=policy.stem)
        client.put_bucket_policy(Bucket=policy.stem, Policy=policy.read_text())
        sys.stdout.write(f"{policy.stem}: the policy of {policy.name} is set\n")


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError, OSError) as error:
        sys.exit(f"{error}")
