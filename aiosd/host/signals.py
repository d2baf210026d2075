"""The signals that the daemon listens to: SIGTERM and SIGINT to stop, SIGHUP to reload."""

import asyncio
import signal
from collections.abc import Callable


def listen(loop: asyncio.AbstractEventLoop, *, stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """From now on; each call is made on the loop's thread, between two steps of it."""
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
