"""Traces from files: SWF or CSV, as they are or through gzip."""

import zlib
from gzip import BadGzipFile, GzipFile
from io import BytesIO

from aiosd.errors import InvalidArgument
from aiosd.simulation.rows import RawTrace
from aiosd.simulation.swf import read_swf
from aiosd.simulation.table import read_table

LARGEST_BYTES = 512 << 20  # unpacked; more would not be a trace but a trap
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # not by the codec for it: that is a module, which cannot be loaded any more where this runs as nobody


def read_trace(data: bytes, name: str) -> RawTrace:
    """The trace in `data`. `name` is the file's: .swf and .swf.gz are SWF, as is what begins with `;`; the rest is CSV.

    raises    InvalidArgument that names the line and the field
    """
    text = _text(_unpacked(data, name), name)
    if not text.strip():
        raise InvalidArgument(f"{name} is empty", hint="a trace has a job a line", trace=name)
    swf = name.lower().removesuffix(".gz").endswith(".swf") or text.lstrip().startswith(";")
    raw = (read_swf if swf else read_table)(text.splitlines(), name)
    if not raw.rows:
        raise InvalidArgument(f"{name} has no job", hint="a trace has a job a line", trace=name)
    return raw


def _unpacked(data: bytes, name: str) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        unpacked = GzipFile(fileobj=BytesIO(data)).read(LARGEST_BYTES + 1)  # all of its members
    except EOFError:
        raise InvalidArgument(f"{name} ends in the middle", hint="is the file whole?", trace=name) from None
    except (BadGzipFile, zlib.error) as error:
        raise InvalidArgument(f"{name} cannot be unpacked: {error}", hint="is the file whole?", trace=name) from None
    if len(unpacked) > LARGEST_BYTES:
        raise InvalidArgument(f"{name} is more than {LARGEST_BYTES >> 20} MiB when unpacked", hint="cut it: a part of its lines is a trace, too", trace=name)
    return unpacked


def _text(data: bytes, name: str) -> str:
    try:
        return data.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidArgument(f"{name}, line {line}: it is not text", hint="a trace is an SWF or CSV file, or one of these through gzip", trace=name) from None
