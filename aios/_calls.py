"""What every noun's calls stand on: the client's one channel."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aios._channel import Channel


class Calls:
    """The calls of one noun; `aios.Client` is all of them over one channel."""

    _channel: "Channel"
