"""Each client lives a life: a bucket, objects, a large file, a presigned URL, versions, tags, a condition, and
what it says when it is refused; over http and TLS."""

import itertools
import os
import random
import ssl
import urllib.error
import urllib.request

import pytest

from kinds import KINDS, Refused, node_is_there
from servers import ROOT, Keys

ODD_KEY = "env:/dev/ä b+c/terraform.tfstate"
# More than what any of these clients sends in one request.
LARGE_BYTES = (17 << 20) + 1
_numbers = itertools.count()


def with_verbs(*verbs: str):
    """The clients that have all of these verbs."""
    names = [name for name, kind in KINDS.items() if all(kind.has(verb) for verb in verbs)]
    return pytest.mark.parametrize("kind", names)


@pytest.fixture
def client(server, kind, tmp_path):
    """A client as root."""
    if kind == "javascript" and not node_is_there():
        pytest.skip("NODE OR ITS PACKAGES ARE MISSING: the JavaScript SDK was not tested")
    return KINDS[kind](server, tmp_path / "home")


@pytest.fixture
def bucket(client) -> str:
    """A new bucket, made by the client."""
    name = f"lives-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{next(_numbers)}"
    client.make(name)
    return name


@pytest.fixture
def given(tmp_path):
    """A small file to upload."""
    path = tmp_path / "given"
    path.write_bytes(b"one")
    return path


def refusal(call, *arguments) -> str:
    """What the client shows when a call fails."""
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return str(caught.value)


@with_verbs("make")
def test_the_life_of_a_bucket(client, bucket, given, tmp_path):
    taken = tmp_path / "taken"
    client.put(bucket, ODD_KEY, given)
    client.get(bucket, ODD_KEY, taken)
    assert taken.read_bytes() == b"one"
    client.copy(bucket, ODD_KEY, "copy")
    client.get(bucket, "copy", tmp_path / "taken too")
    assert (tmp_path / "taken too").read_bytes() == b"one"
    assert sorted(client.list(bucket)) == ["copy", ODD_KEY]
    listed = client.server.s3().list_objects_v2(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == ["copy", ODD_KEY]
    for key in ("copy", ODD_KEY):
        client.delete(bucket, key)
    client.remove(bucket)
    buckets = client.server.s3().list_buckets()["Buckets"]
    assert bucket not in [entry["Name"] for entry in buckets]


@with_verbs("make")
def test_a_large_file(client, bucket, tmp_path):
    body = random.Random(8).randbytes(LARGE_BYTES)
    given, taken = tmp_path / "large", tmp_path / "taken"
    given.write_bytes(body)
    client.put(bucket, "large", given)
    client.get(bucket, "large", taken)
    assert taken.read_bytes() == body
    etag = client.server.s3().head_object(Bucket=bucket, Key="large")["ETag"]
    assert etag.endswith('-4"'), f"{etag}: it was not sent in parts"
    client.copy(bucket, "large", "copy")
    copied = client.server.s3().get_object(Bucket=bucket, Key="copy")["Body"].read()
    assert copied == body


@with_verbs("presign")
def test_a_presigned_url(client, bucket, given):
    client.put(bucket, "a b+c", given)
    context = ssl.create_default_context(cafile=client.server.ca_bundle)
    url = client.presign(bucket, "a b+c")
    with urllib.request.urlopen(url, context=context) as answer:
        assert answer.read() == b"one"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("/a", "/b", 1), context=context)
    assert caught.value.code == 403


@with_verbs("keep_versions")
def test_versions(client, bucket, given):
    client.keep_versions(bucket)
    client.put(bucket, "k", given)
    given.write_bytes(b"another")
    client.put(bucket, "k", given)
    client.delete(bucket, "k")
    listed = client.server.s3().list_object_versions(Bucket=bucket)
    assert [entry["Size"] for entry in listed["Versions"]] == [7, 3]
    assert [entry["IsLatest"] for entry in listed["DeleteMarkers"]] == [True]
    assert client.not_empty in refusal(client.remove, bucket)


@with_verbs("versions")
def test_a_list_of_versions(client, bucket, given):
    client.keep_versions(bucket)
    client.put(bucket, "k", given)
    given.write_bytes(b"another")
    client.put(bucket, "k", given)
    assert client.versions(bucket, "k") == 2


@with_verbs("tags")
def test_tags(client, bucket, given):
    client.put(bucket, "k", given)
    client.tag(bucket, "k", "team", "a b")
    assert client.tags(bucket, "k") == {"team": "a b"}


@with_verbs("put_once")
def test_a_condition(client, bucket, given, tmp_path):
    client.put_once(bucket, "k", given)
    given.write_bytes(b"another")
    assert "PreconditionFailed" in refusal(client.put_once, bucket, "k", given)
    kept = client.server.s3().get_object(Bucket=bucket, Key="k")["Body"].read()
    assert kept == b"one"


@with_verbs("make")
def test_what_it_shows(client, bucket, given, tmp_path):
    taken = tmp_path / "taken"
    assert client.no_key in refusal(client.get, bucket, "none", taken)
    assert client.no_bucket in refusal(client.list, f"{bucket}-none")
    client.put(bucket, "k", given)
    assert client.not_empty in refusal(client.remove, bucket)
    stranger = type(client)(client.server, tmp_path / "stranger", Keys(ROOT.access, "not-the-secret"))
    assert client.wrong_secret in refusal(stranger.list, bucket)
    assert not taken.exists() or taken.read_bytes() == b"", "an error was taken for an object"
