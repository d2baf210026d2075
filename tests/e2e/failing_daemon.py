"""A daemon with one more policy, which fails whenever anybody waits: for what only a real process can show."""

import sys

from aiosd.__main__ import main
from tests.fakes.policies import IMPOSSIBLE, Broken, registered

if __name__ == "__main__":
    with registered(Broken(IMPOSSIBLE["raises"][0])):
        sys.exit(main())
