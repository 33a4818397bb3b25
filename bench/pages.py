"""What a page of the console costs the server with many states: CPU milliseconds, and bytes.

    TIDELOCK_BINARY=target/release/tidelock PYTHONPATH=tests PYTHON bench/pages.py [STATES]

PYTHON is that of the test lanes (`scripts/test install`). CPU is the server's own, user and system, over
RUNS of the same page; it says little of a debug build.
"""

import json
import os
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers import ROOT, Server

BUCKET = "states"
KEY = "app/0000/terraform.tfstate"
RUNS = 20
WRITERS = 16
VERSIONS = 20
RESOURCES = 20


def state(number: int, serial: int) -> bytes:
    """A state of twenty resources."""
    resources = [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": f"r{at}",
            "provider": 'provider["terraform.io/builtin/terraform"]',
            "instances": [{"schema_version": 0, "attributes": {"id": f"{number}-{at}-{serial}"}}],
        }
        for at in range(RESOURCES)
    ]
    return json.dumps({
        "version": 4, "terraform_version": "1.11.4", "serial": serial,
        "lineage": f"lineage-{number}", "outputs": {}, "resources": resources,
    }).encode()


def fill(server: Server, count: int) -> None:
    """`count` states, the first with some versions, and a lock on it."""
    s3 = server.s3(max_pool_connections=WRITERS)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    server.cli("bucket", "edit", BUCKET, "--guard", "observe")

    def put(number: int) -> None:
        key = f"app/{number:04}/terraform.tfstate"
        for serial in range(1, VERSIONS + 1 if number == 0 else 2):
            s3.put_object(Bucket=BUCKET, Key=key, Body=state(number, serial))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(count)))
    lock = json.dumps({"ID": "1", "Operation": "OperationTypeApply", "Who": "bench@here"})
    s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=lock.encode(), IfNoneMatch="*")


class Browser:
    """Whoever looks at the pages."""

    def __init__(self, server: Server):
        self.server = server
        jar = urllib.request.HTTPCookieProcessor()
        self.opener = urllib.request.build_opener(jar)
        form = {"access_key_id": ROOT.access, "secret_access_key": ROOT.secret}
        self.opener.open(
            f"{server.endpoint}/_/console/sign-in", urllib.parse.urlencode(form).encode()
        ).read()

    def get(self, path: str) -> bytes:
        """The page at `path`."""
        with self.opener.open(f"{self.server.endpoint}/_/console{path}") as answer:
            return answer.read()


def cpu_ms(pid: int) -> float:
    """The CPU that a process has used."""
    fields = re.sub(r".*\) ", "", Path(f"/proc/{pid}/stat").read_text()).split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints a line for each page."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as directory:
        server = Server.start(Path(directory) / "data")
        try:
            fill(server, count)
            browser = Browser(server)
            of_state = urllib.parse.urlencode({"bucket": BUCKET, "key": KEY})
            pages = ["/", "/?bucket=states&prefix=app/", "/locks", "/search?type=terraform_data&name=r1", "/search?name=none",
                     "/buckets", "/objects?bucket=states&prefix=app/", "/audit", "/server", "/users"]
            pages += [f"/state?{of_state}&tab={tab}"
                      for tab in ("resources", "outputs", "versions", "refused", "activity")]
            print(f"{count} states; mean of {RUNS} runs")
            for page in pages:
                browser.get(page)
                before = cpu_ms(server.process.pid)
                for _ in range(RUNS):
                    body = browser.get(page)
                spent = (cpu_ms(server.process.pid) - before) / RUNS
                print(f"{spent:8.1f} ms {len(body):9} B  {page}", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
