"""Terragrunt's bootstrap, call by call: it looks at each setting before it writes it, and again at every run.
Its policy wants TLS, so that over plain http nobody gets in any more but to take the policy back."""

import json

from botocore.exceptions import ClientError

BLOCK = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
KMS = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}


def policy_of(bucket: str) -> dict:
    """The two statements that it writes."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    everything = {"Action": "s3:*", "Resource": resources}
    root = {"AWS": "arn:aws:iam::000000000000:root"}
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "EnforcedTLS", "Effect": "Deny", "Principal": "*", "Condition": insecure} | everything,
            {"Sid": "RootAccess", "Effect": "Allow", "Principal": root} | everything,
        ],
    }


def answer(s3, operation: str, **named):
    """The answer to a call, or status and code of its refusal."""
    try:
        return getattr(s3, operation)(**named)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status, error.response["Error"]["Code"]


def bootstrap(s3, bucket: str) -> None:
    """A new bucket: what is not configured, and then is."""
    tags = {"TagSet": [{"Key": "owner", "Value": "terragrunt"}]}
    versioning = {"Status": "Enabled"}
    policy = json.dumps(policy_of(bucket))
    block = dict.fromkeys(BLOCK, True)
    rows = [
        ("head_bucket", {}, (404, "404")),
        ("create_bucket", {}, None),
        ("head_bucket", {}, None),
        ("put_bucket_tagging", {"Tagging": tags}, None),
        ("get_bucket_versioning", {}, None),
        ("put_bucket_versioning", {"VersioningConfiguration": versioning}, None),
        ("get_bucket_encryption", {}, (404, "ServerSideEncryptionConfigurationNotFoundError")),
        ("put_bucket_encryption", {"ServerSideEncryptionConfiguration": KMS}, None),
        ("get_bucket_policy", {}, (404, "NoSuchBucketPolicy")),
        ("put_bucket_policy", {"Policy": policy}, None),
        ("get_public_access_block", {}, (404, "NoSuchPublicAccessBlockConfiguration")),
        ("put_public_access_block", {"PublicAccessBlockConfiguration": block}, None),
        ("get_bucket_logging", {}, None),
    ]
    for operation, named, refusal in rows:
        said = answer(s3, operation, Bucket=bucket, **named)
        assert refusal == (said if isinstance(said, tuple) else None), operation


def test_bootstrap(tls_server):
    s3 = tls_server.s3(tls_server.user("terragrunt"))
    bucket = "terragrunt-states"
    bootstrap(s3, bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms"}
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy_of(bucket)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    put = s3.put_object(Bucket=bucket, Key="app/terraform.tfstate", Body=b"{}")
    assert put["ServerSideEncryption"] == "aws:kms"
    # `terragrunt backend delete` takes every version, and the bucket.
    for entry in s3.list_object_versions(Bucket=bucket)["Versions"]:
        s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=bucket)
    assert answer(s3, "head_bucket", Bucket=bucket) == (404, "404")


def test_its_policy_holds_over_plain_http(http_server):
    s3 = http_server.s3(http_server.user("terragrunt"))
    bucket = "terragrunt-plain"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy_of(bucket)))
    for operation, named in [
        ("put_object", {"Key": "k", "Body": b"{}"}),
        ("list_objects_v2", {}),
        ("get_bucket_versioning", {}),
        ("delete_bucket", {}),
    ]:
        assert answer(s3, operation, Bucket=bucket, **named) == (403, "AccessDenied"), operation
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)
