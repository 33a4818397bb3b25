"""What a stranger does: start with `--bootstrap`, paste what is printed, and apply."""

import shlex
import subprocess

import pytest

from servers import Keys, binary, clean_environment, engine_flags
from terraforms import PROMPT, Directory, available

BUCKET = "terraform-state"
TERRAFORMS = available()
RESOURCE = 'resource "terraform_data" "x" {}\n'


def printed_by_serve(data) -> tuple[subprocess.Popen, str]:
    """Starts a server without any credentials; the process and what it prints for the user."""
    command = [binary(), "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, *engine_flags(data), "--bootstrap", BUCKET],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("export AWS_ENDPOINT_URL_S3"):
            break
    return process, "".join(lines)


def block_and_environment(printed: str) -> tuple[str, dict[str, str]]:
    """The two things to paste."""
    exports = [line for line in printed.splitlines() if line.startswith("export ")]
    block = "\n".join(line for line in printed.splitlines() if line not in exports)
    words = [shlex.split(line)[1].split("=", 1) for line in exports]
    return block, dict(words)


@pytest.mark.parametrize("name", sorted(TERRAFORMS))
def test_paste_and_apply(name, tmp_path):
    process, printed = printed_by_serve(tmp_path / "data")
    try:
        block, variables = block_and_environment(printed)
        environment = clean_environment() | variables
        work = Directory(TERRAFORMS[name], tmp_path / "work", environment)
        work.write("main.tf", block + RESOURCE)
        work.run("init", "-no-color")
        waiting = work.start("apply", "-no-color")
        waiting.wait_for(PROMPT)
        assert "terraform.tfstate.tflock" in object_list(environment)
        assert waiting.say("yes").code == 0
        listed = object_list(environment)
        assert "terraform.tfstate" in listed and ".tflock" not in listed
    finally:
        process.terminate()
        assert process.wait(30) == 0


def object_list(environment: dict[str, str]) -> str:
    """`tidelock object list` with the same environment."""
    command = [binary(), "object", "list", BUCKET]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_bootstrap_of_a_running_server(some_site, tmp_path):
    site = some_site
    backend = tmp_path / "backend.tf"
    printed = site.server.cli("bootstrap", f"{site.bucket}-own", "--write", str(backend))
    _, variables = block_and_environment(printed)
    keys = Keys(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    environment = site.server.environment(keys) | variables
    work = Directory(site.terraform, tmp_path / "work", environment)
    work.write("backend.tf", backend.read_text())
    work.write("main.tf", RESOURCE)
    work.run("init", "-no-color")
    work.run("apply", "-auto-approve")
    listed = site.server.s3(keys).list_objects_v2(Bucket=f"{site.bucket}-own")["Contents"]
    assert [entry["Key"].endswith(".tfstate") for entry in listed] == [True]
