"""boto3 as a client, over http and TLS: objects, versions, multipart, presigned URLs, checksums."""

import base64
import hashlib
import itertools
import os
import random
import ssl
import urllib.error
import urllib.request

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MEBIBYTE = 1 << 20
_numbers = itertools.count()


@pytest.fixture
def bucket(server) -> str:
    """A new bucket."""
    name = f"boto-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{next(_numbers)}"
    server.s3().create_bucket(Bucket=name)
    return name


def code_of(call, *arguments, **named) -> str:
    """The error code a call fails with."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return caught.value.response["Error"]["Code"]


def test_the_life_of_an_object(server, bucket):
    s3 = server.s3()
    key = "env:/dev/ä b+c/terraform.tfstate"
    put = s3.put_object(
        Bucket=bucket, Key=key, Body=b"one", ContentType="application/json", Metadata={"run": "42"}
    )
    assert put["ETag"] == f'"{hashlib.md5(b"one").hexdigest()}"'
    assert put["ServerSideEncryption"] == "AES256"
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"one"
    assert (got["ContentType"], got["Metadata"]) == ("application/json", {"run": "42"})
    part = s3.get_object(Bucket=bucket, Key=key, Range="bytes=1-")
    assert (part["Body"].read(), part["ContentRange"]) == (b"ne", "bytes 1-2/3")
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["ETag"]) == (3, put["ETag"])
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in listed] == [(key, 3)]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"one"
    gone = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}, {"Key": "never"}]}
    )
    assert {entry["Key"] for entry in gone["Deleted"]} == {key, "copy", "never"}
    assert code_of(s3.get_object, Bucket=bucket, Key=key) == "NoSuchKey"
    s3.delete_bucket(Bucket=bucket)
    assert code_of(s3.list_objects_v2, Bucket=bucket) == "NoSuchBucket"


def test_conditions(server, bucket):
    s3 = server.s3()
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"two", IfNoneMatch="*") == (
        "PreconditionFailed"
    )
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch=first["ETag"])
    assert code_of(s3.delete_object, Bucket=bucket, Key="k", IfMatch=first["ETag"]) == (
        "PreconditionFailed"
    )
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=second["ETag"])


def test_versions(server, bucket):
    s3 = server.s3()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    ids = [
        s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"1", b"2", b"3")
    ]
    assert len(set(ids)) == 3
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "NoSuchKey"
    for version, body in zip(ids, (b"1", b"2", b"3")):
        got = s3.get_object(Bucket=bucket, Key="k", VersionId=version)
        assert got["Body"].read() == body
    listed = s3.list_object_versions(Bucket=bucket)
    assert [entry["VersionId"] for entry in listed["Versions"]] == list(reversed(ids))
    assert [entry["IsLatest"] for entry in listed["DeleteMarkers"]] == [True]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 1}
    )
    assert [entry["VersionId"] for page in pages for entry in page["Versions"]] == list(
        reversed(ids)
    )


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_a_multipart_upload_of_20_mib(server, bucket, tmp_path, algorithm):
    s3 = server.s3()
    body = random.Random(20).randbytes(20 * MEBIBYTE)
    given, taken = tmp_path / "given", tmp_path / "taken"
    given.write_bytes(body)
    config = TransferConfig(multipart_threshold=5 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE)
    s3.upload_file(
        str(given), bucket, "k", Config=config, ExtraArgs={"ChecksumAlgorithm": algorithm}
    )
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    parts = [body[at : at + 5 * MEBIBYTE] for at in range(0, len(body), 5 * MEBIBYTE)]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    assert head["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-4"'
    if algorithm == "SHA256":
        composite = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts))
        assert head["ChecksumSHA256"] == base64.b64encode(composite.digest()).decode() + "-4"
    s3.download_file(bucket, "k", str(taken), Config=config)
    assert taken.read_bytes() == body
    across = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MEBIBYTE - 3}-{5 * MEBIBYTE + 2}")
    assert across["Body"].read() == body[5 * MEBIBYTE - 3 : 5 * MEBIBYTE + 3]


def test_a_copy_of_a_multipart_object(server, bucket):
    s3 = server.s3()
    body = random.Random(11).randbytes(11 * MEBIBYTE)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    parts = []
    for number, span in enumerate(("0-6291455", f"6291456-{len(body) - 1}"), start=1):
        copied = s3.upload_part_copy(
            Bucket=bucket, Key="c", UploadId=upload, PartNumber=number,
            CopySource={"Bucket": bucket, "Key": "k"}, CopySourceRange=f"bytes={span}",
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(
        Bucket=bucket, Key="c", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == body


def test_presigned_urls(server, bucket):
    s3 = server.s3(signature_version="s3v4")
    context = ssl.create_default_context(cafile=server.ca_bundle)
    named = {"Bucket": bucket, "Key": "a b+c"}
    put = s3.generate_presigned_url("put_object", named, ExpiresIn=60)
    request = urllib.request.Request(put, data=b"presigned", method="PUT")
    with urllib.request.urlopen(request, context=context) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", named, ExpiresIn=60)
    with urllib.request.urlopen(get, context=context) as answer:
        assert answer.read() == b"presigned"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(get.replace("a%20b%2Bc", "other"), context=context)
    assert caught.value.code == 403


def test_checksums_of_single_puts(server, bucket):
    s3 = server.s3()
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        put = s3.put_object(Bucket=bucket, Key="k", Body=b"one", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
        # boto3 verifies the checksum of what it reads.
        assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == b"one"
    wrong = base64.b64encode(hashlib.sha256(b"two").digest()).decode()
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"one", ChecksumSHA256=wrong) == (
        "BadDigest"
    )


def test_listing_in_pages(server, bucket):
    s3 = server.s3()
    keys = sorted(f"{group}/{number}" for group in "abc" for number in range(7))
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 4}
        )
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    assert prefixes == ["a/", "b/", "c/"]


def test_settings_of_a_bucket(server, bucket):
    s3 = server.s3()
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "a"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "team", "Value": "a"}]
    everything = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(everything, True)
    )
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    assert code_of(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    assert code_of(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    head = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    assert head["x-amz-bucket-region"] == "us-east-1"
