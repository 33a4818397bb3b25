"""Unit files of systemd as settings, and what systemd-analyze says of them."""

import re

# systemd-analyze's measure, of 10: what is left is the network, and files of the machine that can be read.
EXPOSURE_MAX = 1.5


def exposure(measured: str) -> float:
    """The measure in what `systemd-analyze security` printed."""
    (found,) = re.findall(r"Overall exposure level for .*: (\d+\.\d+) ", measured)
    return float(found)


def settings(text: str) -> dict[str, list[str]]:
    """What a unit says, by key."""
    found = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found
