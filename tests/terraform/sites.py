"""A site of the Terraform lane: one Terraform, one server, one bucket with a user of its own."""

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import ClientError

from servers import Keys, Server
from terraforms import Directory, Terraform, available

TERRAFORMS = available()
FIRST = "path" if "path" in TERRAFORMS else "lib"

_numbers = itertools.count()


@dataclass
class Site:
    """What a test needs to run Terraform against Tidelock."""

    terraform: Terraform
    server: Server
    bucket: str
    keys: Keys
    path: Path
    endpoint: str = ""
    options: str = ""
    directories: list[Directory] = field(default_factory=list)

    @property
    def s3(self):
        """A client of the same user."""
        return self.server.s3(self.keys)

    def backend(self, key: str = "app/terraform.tfstate", extra: str = "") -> str:
        """A backend block with no `skip_` flag."""
        endpoint = self.endpoint or self.server.endpoint
        bundle = self.server.ca_bundle
        return f"""
terraform {{
  backend "s3" {{
{self.backend_body(key, endpoint, bundle)}
    {extra}
  }}
}}
"""

    def backend_body(self, key: str, endpoint: str, bundle: str | None) -> str:
        """The settings of a backend or of a `terraform_remote_state`."""
        lines = [
            f'bucket         = "{self.bucket}"',
            f'key            = "{key}"',
            'region         = "us-east-1"',
            "use_lockfile   = true",
            "use_path_style = true",
            f'endpoints      = {{ s3 = "{endpoint}", sts = "{endpoint}", iam = "{endpoint}" }}',
        ]
        if bundle:
            lines.append(f'custom_ca_bundle = "{bundle}"')
        return "\n".join(f"    {line}" for line in lines)

    def directory(self, name: str = "work") -> Directory:
        """A working directory with this site's credentials."""
        environment = self.server.environment(self.keys)
        for only_in_the_block in ("AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_REGION"):
            environment.pop(only_in_the_block, None)
        directory = Directory(self.terraform, self.path / name, environment)
        self.directories.append(directory)
        return directory

    def initialised(self, name: str = "work", key: str = "app/terraform.tfstate") -> Directory:
        """A working directory with a backend block and one resource, after `init`."""
        directory = self.directory(name)
        directory.write("backend.tf", self.backend(key))
        directory.write("main.tf", RESOURCE)
        directory.run("init", "-no-color")
        return directory

    def unguarded(self) -> "Site":
        """Takes the guard off the bucket: a test that puts states without a lock needs none."""
        self.server.cli("bucket", "edit", self.bucket, "--guard", "off")
        return self

    def object(self, key: str) -> bytes | None:
        """An object's bytes; none where there is no object."""
        try:
            return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey", error
            return None

    def keys_listed(self) -> list[str]:
        """All keys of the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


RESOURCE = """
variable "v" { default = "1" }
resource "terraform_data" "x" { input = var.v }
output "v" { value = terraform_data.x.output }
"""


def site_at(terraform: Terraform, server: Server, tmp_path: Path) -> Site:
    number = f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{next(_numbers)}"
    keys = server.user(f"runner-{number}")
    site = Site(terraform, server, f"states-{number}", keys, tmp_path)
    site.s3.create_bucket(Bucket=site.bucket)
    site.s3.put_bucket_versioning(
        Bucket=site.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    return site
