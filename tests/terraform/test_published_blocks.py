"""Two backend blocks as users publish them, but for endpoint and names: one with every `skip_` flag
and a region of the provider's own, one with none and its endpoints in the environment. Neither asks
for path style, so Terraform calls `bucket.host`; a proxy of the test leads the names to the server."""

import json
import subprocess
import sys

import pytest

from proxies import ResolvesToThisMachine
from servers import DOMAIN
from terraforms import PROMPT

KEY = "network/terraform.tfstate"


@pytest.fixture
def names():
    """The proxy that knows where names lead."""
    proxy = ResolvesToThisMachine()
    yield proxy
    proxy.close()


def endpoint(site) -> str:
    """The server by its name."""
    return f"https://{DOMAIN}:{site.server.port}"


def directory(site, names, block: str):
    """A working directory with that block, whose requests go through the proxy."""
    work = site.directory()
    work.environment |= {"HTTPS_PROXY": names.url, "AWS_CA_BUNDLE": site.server.ca_bundle}
    work.write("backend.tf", block)
    work.write("main.tf", 'resource "terraform_data" "x" { input = 1 }\n')
    return work


def run_through(site, names, work) -> None:
    """Init, a held lock, apply, change, destroy: all of it by virtual host."""
    work.run("init", "-no-color")
    holder = work.start("apply", "-no-color")
    holder.wait_for(PROMPT)
    refused = work.run("plan", "-no-color", code=1)
    assert "PreconditionFailed" in refused and "Lock Info:" in refused
    assert holder.say("yes").code == 0
    assert json.loads(site.object(KEY))["serial"] == 1
    work.write("main.tf", 'resource "terraform_data" "x" { input = 2 }\n')
    work.run("apply", "-auto-approve")
    work.run("destroy", "-auto-approve")
    assert f"{site.bucket}.{DOMAIN}" in names.hosts, "it called bucket.host"
    assert site.keys_listed() == [KEY]


def test_a_block_with_every_skip_flag(tls_site, names):
    site = tls_site
    work = directory(site, names, f"""
terraform {{
  backend "s3" {{
    bucket = "{site.bucket}"
    key    = "{KEY}"
    region = "eu-west-par"
    endpoints = {{
      s3 = "{endpoint(site)}"
    }}
    skip_credentials_validation = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
    use_lockfile                = true
  }}
}}
""")
    run_through(site, names, work)
    clean_up(site)


def test_a_block_with_its_endpoints_in_the_environment(tls_site, names):
    site = tls_site
    work = directory(site, names, f"""
terraform {{
  backend "s3" {{
    bucket       = "{site.bucket}"
    key          = "{KEY}"
    region       = "ap-southeast-1"
    encrypt      = true
    use_lockfile = true
  }}
}}
""")
    for service in ("S3", "STS", "IAM"):
        work.environment[f"AWS_ENDPOINT_URL_{service}"] = endpoint(site)
    run_through(site, names, work)
    head = site.s3.head_object(Bucket=site.bucket, Key=KEY)
    assert head["ServerSideEncryption"] == "AES256"
    clean_up(site)


def clean_up(site) -> None:
    """The clean-up their authors publish: list, and remove everything that is current."""
    listed = aws(site, "s3", "ls", f"s3://{site.bucket}", "--recursive")
    assert KEY in listed
    assert f"delete: s3://{site.bucket}/{KEY}" in aws(
        site, "s3", "rm", f"s3://{site.bucket}", "--recursive"
    )
    assert aws(site, "s3", "ls", f"s3://{site.bucket}", "--recursive") == ""
    versions = site.s3.list_object_versions(Bucket=site.bucket)
    assert versions["Versions"], "the bucket is versioned: older states stay"


def aws(site, *arguments: str) -> str:
    """Runs the AWS CLI as the site's user; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "awscli", *arguments],
        env=site.server.environment(site.keys),
        capture_output=True,
        text=True,
        timeout=120,
    )
    # `aws s3 ls` of nothing ends with 1 and says nothing.
    assert done.returncode == 0 or not done.stderr.strip(), done.stderr
    return done.stdout
