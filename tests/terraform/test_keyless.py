"""A CI run without a static key: a provider's ID token, a role, and nothing else in the configuration."""

import json
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from sites import TERRAFORMS, RESOURCE
from issuers import Issuer
from servers import Server, clean_environment
from terraforms import PROMPT, Directory

AUDIENCE = "tidelock"
REPOSITORY = "acme/infra"
SUBJECT = f"repo:{REPOSITORY}:ref:refs/heads/main"
BUCKET = "states"
KEY = "app/terraform.tfstate"
# The server asks a provider no more often than this for keys it has not.
ASK_AGAIN_SECONDS = 5


class Keyless:
    """A server that takes tokens of a provider of its own, and a guarded bucket."""

    def __init__(self, path):
        self.issuer = Issuer()
        self.server = Server.start(path, "--oidc-issuer", f"{self.issuer.url}={AUDIENCE}")
        self.server.cli("bootstrap", BUCKET, "-o", "json")
        trust = f"issuer={self.issuer.url},sub=repo:{REPOSITORY}:*"
        for preset in ("planner", "applier"):
            states = ("--preset", preset, "--bucket", BUCKET, "--prefix", "app/")
            self.server.cli("role", "create", preset, *states, "--trust", trust)

    def token(self, run: int = 42, subject: str = SUBJECT, **other) -> str:
        """What a run is given by its site."""
        claims = {"repository": REPOSITORY, "run_id": str(run), "run_attempt": "1"}
        return self.issuer.token(subject=subject, **({"audience": AUDIENCE} | claims | other))

    def assume(self, role: str, token: str, **more) -> dict:
        """AssumeRoleWithWebIdentity, as an SDK calls it."""
        sts = boto3.client(
            "sts",
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
        )
        arn = f"arn:aws:iam::000000000000:role/{role}"
        name = "run-42"
        return sts.assume_role_with_web_identity(
            RoleArn=arn, RoleSessionName=name, WebIdentityToken=token, **more
        )

    def session(self, service: str, credentials: dict):
        """A client in a session."""
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def directory(self, terraform, path, role: str, run: int = 42) -> Directory:
        """A working directory of a run, with its token in a file and no key anywhere."""
        directory = Directory(terraform, path, clean_environment())
        (path / "token").write_text(self.token(run))
        endpoint = self.server.endpoint
        directory.write(
            "backend.tf",
            f"""
terraform {{
  backend "s3" {{
    bucket         = "{BUCKET}"
    key            = "{KEY}"
    region         = "us-east-1"
    use_lockfile   = true
    use_path_style = true
    endpoints      = {{ s3 = "{endpoint}", sts = "{endpoint}", iam = "{endpoint}" }}
    assume_role_with_web_identity = {{
      role_arn                = "arn:aws:iam::000000000000:role/{role}"
      web_identity_token_file = "{path / "token"}"
    }}
  }}
}}
""",
        )
        directory.write("main.tf", RESOURCE)
        return directory

    def close(self) -> None:
        """Ends both."""
        self.issuer.close()
        assert self.server.stop() == 0


@pytest.fixture(scope="module")
def keyless(tmp_path_factory):
    """One for all tests here."""
    world = Keyless(tmp_path_factory.mktemp("keyless") / "data")
    yield world
    world.close()


def code_of(call, *arguments, **named) -> str:
    """The error code of a refused call."""
    with pytest.raises(ClientError) as refused:
        call(*arguments, **named)
    return refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("name", sorted(TERRAFORMS))
def test_a_run_without_keys(keyless, tmp_path, name):
    """init, plan and apply with a token only; while it holds the lock, the lock shows the run."""
    run = 100 + sorted(TERRAFORMS).index(name)
    applier = keyless.directory(TERRAFORMS[name], tmp_path / "apply", "applier", run)
    applier.run("init", "-no-color")
    applier.run("plan", "-no-color")
    applying = applier.start("apply", "-no-color", "-var", f"v={name}")
    applying.wait_for(PROMPT)
    (held,) = json.loads(keyless.server.cli("lock", "list", BUCKET, "-o", "json"))
    url = f"{keyless.issuer.site}/{REPOSITORY}/actions/runs/{run}"
    assert f"{REPOSITORY} {url}" in held["server"]["holder"], held
    shown = keyless.server.cli("lock", "show", f"{BUCKET}/{KEY}")
    assert f"{REPOSITORY} {url}" in shown, shown
    done = applying.say("yes")
    assert done.code == 0, done.output
    # A planner takes the lock and plans; the state is not its to write.
    planner = keyless.directory(TERRAFORMS[name], tmp_path / "plan", "planner", run)
    planner.run("init", "-no-color")
    planner.run("plan", "-no-color", "-var", f"v={name}")
    refused = planner.run("apply", "-no-color", "-auto-approve", "-var", "v=more", code=1)
    assert "AccessDenied" in refused or "403" in refused, refused.text
    assert keyless.server.cli("lock", "list", BUCKET, "-o", "json").strip() == "[]"


def test_tokens_that_prove_nothing(keyless):
    """Each in AWS's words."""
    assume, token = keyless.assume, keyless.token
    good = token()
    forged = good[:-8] + ("AAAAAAAA" if good[-8:] != "AAAAAAAA" else "BBBBBBBB")
    rows = [
        ("InvalidIdentityToken", "applier", "not.a.token"),
        ("InvalidIdentityToken", "applier", forged),
        ("InvalidIdentityToken", "applier", token(audience="other")),
        ("ExpiredTokenException", "applier", token(lives_s=-600)),
        ("AccessDenied", "applier", token(subject="repo:acme/other:ref:refs/heads/main")),
        ("AccessDenied", "none", good),
    ]
    for code, role, sent in rows:
        assert code_of(assume, role, sent) == code, (code, role)
    assert code_of(assume, "applier", good, DurationSeconds=43200) == "ValidationError"
    assert code_of(assume, "applier", good, Policy="{}") == "MalformedPolicyDocument"


def test_a_session_is_what_its_role_and_its_policy_allow(keyless):
    """Bound to its key, narrowed by its policy, ended with its role."""
    made = keyless.assume("applier", keyless.token())
    assert made["SubjectFromWebIdentityToken"] == SUBJECT and made["Audience"] == AUDIENCE
    credentials = made["Credentials"]
    identity = keyless.session("sts", credentials).get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::000000000000:assumed-role/applier/run-42"
    s3 = keyless.session("s3", credentials)
    s3.put_object(Bucket=BUCKET, Key="app/plain.txt", Body=b"one")
    assert code_of(s3.put_object, Bucket=BUCKET, Key="other", Body=b"") == "AccessDenied"
    assert code_of(s3.list_buckets) == "AccessDenied"
    assert code_of(s3.create_bucket, Bucket="mine") == "AccessDenied"
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [read]})
    narrow = keyless.assume("applier", keyless.token(), Policy=policy)["Credentials"]
    reader = keyless.session("s3", narrow)
    reader.get_object(Bucket=BUCKET, Key="app/plain.txt")
    assert code_of(reader.put_object, Bucket=BUCKET, Key="app/x", Body=b"") == "AccessDenied"
    mixed = keyless.session("s3", credentials | {"SessionToken": narrow["SessionToken"]})
    assert code_of(mixed.get_object, Bucket=BUCKET, Key="app/plain.txt") == "InvalidToken"
    bare = keyless.server.s3(type("Keys", (), {
        "access": credentials["AccessKeyId"], "secret": credentials["SecretAccessKey"],
    }))
    assert code_of(bare.list_buckets) == "InvalidAccessKeyId"
    who = ("--preset", "applier", "--bucket", BUCKET, "--trust")
    keyless.server.cli("role", "create", "brief", *who, f"issuer={keyless.issuer.url},sub={SUBJECT}")
    brief = keyless.session("s3", keyless.assume("brief", keyless.token())["Credentials"])
    brief.get_object(Bucket=BUCKET, Key="app/plain.txt")
    keyless.server.cli("role", "delete", "brief")
    assert code_of(brief.get_object, Bucket=BUCKET, Key="app/plain.txt") == "InvalidToken"


def test_a_provider_rotates_its_keys(keyless):
    """A key that is not known is looked for once; the old one is no longer taken."""
    before = keyless.token()
    keyless.assume("applier", before)
    asked = len(keyless.issuer.asked)
    keyless.assume("applier", keyless.token())
    assert len(keyless.issuer.asked) == asked, "keys are kept"
    keyless.issuer.rotate("key-2")
    time.sleep(ASK_AGAIN_SECONDS)
    keyless.assume("applier", keyless.token())
    assert len(keyless.issuer.asked) == asked + 2
    assert code_of(keyless.assume, "applier", before) == "InvalidIdentityToken"
