"""Gives every worker of pytest-xdist users of its own: some tests count all buckets of a user.

A plugin for the suite's pytest: S3TEST_CONF names a directory, and the worker takes its file of it.
"""

import os
from pathlib import Path

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
os.environ["S3TEST_CONF"] = str(Path(os.environ["S3TEST_CONF"]) / f"{_worker}.conf")
