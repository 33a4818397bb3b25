"""The Debian package of the lane."""

import os
import subprocess
from pathlib import Path

import pytest

from servers import REPOSITORY, binary


@pytest.fixture(scope="session")
def archive() -> Path:
    """The package of the binary under test, or the one that `TIDELOCK_TEST_PACKAGE` names."""
    if given := os.environ.get("TIDELOCK_TEST_PACKAGE"):
        return Path(given)
    built = subprocess.run(
        [REPOSITORY / "scripts/package", "--fast", "--binary", binary()],
        capture_output=True, text=True, timeout=240, check=True,
    )
    return Path(built.stdout.strip())
