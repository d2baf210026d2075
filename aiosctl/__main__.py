"""The program `aiosctl`: the root command, and every error told in two lines."""

import os
import sys

from aiosctl.cli import root
from aiosctl.failures import guarded


def main() -> None:
    """Run the command line and exit with its status; what cannot be encoded is shown escaped, not raised."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - started with stdout closed; it lives as long as we do
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if "_AIOSCTL_COMPLETE" in os.environ:
        from aiosctl import completion  # noqa: F401 - which knows more of bash than click does

    sys.exit(guarded(lambda: root.main(prog_name="aiosctl", standalone_mode=False)))


if __name__ == "__main__":
    main()
