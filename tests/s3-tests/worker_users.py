"""Gives every worker of pytest-xdist users of its own: some tests count all buckets of a user.

A plugin for the suite's pytest: S3TESTS_CONFIGS names a directory with a configuration for each worker.
The workers inherit the environment of the process that starts them, so S3TEST_CONF is set from it anew.
"""

import os
from pathlib import Path

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
os.environ["S3TEST_CONF"] = str(Path(os.environ["S3TESTS_CONFIGS"]) / f"{_worker}.conf")
