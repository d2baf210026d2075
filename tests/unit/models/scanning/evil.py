"""Pickles that would do harm, of every kind that is known; `mark` is a file that is there when one has been loaded after all."""

import os
import pickle
from collections.abc import Callable


class Calls:
    """Unpickling it is calling `function`."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.args


def command(mark: str) -> str:
    return f"touch {mark}"


def dumped(mark: str, protocol: int = 4) -> bytes:
    return pickle.dumps(Calls(os.system, command(mark)), protocol)


def text(value: str) -> bytes:
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def families(mark: str) -> dict[str, bytes]:
    """Each by a name; opcode by opcode where no pickler would write it so."""
    run, arg = b"cposix\nsystem\n", b"(V" + command(mark).encode() + b"\ntR"
    return {
        **{f"reduce, protocol {protocol}": dumped(mark, protocol) for protocol in range(6)},
        "eval": pickle.dumps(Calls(eval, f"open({mark!r}, 'w')")),
        "getattr of an import": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(Vos\ntRVsystem\ntR" + arg + b".",
        "inst": b"(V" + command(mark).encode() + b"\niposix\nsystem\n.",
        "obj": b"(cposix\nsystem\nV" + command(mark).encode() + b"\no.",
        "newobj_ex": b"\x80\x04" + text("posix") + text("system") + b"\x93" + text(command(mark)) + b"\x85}\x92.",
        "stack_global through the memo": b"\x80\x04" + text("posix") + b"\x94" + text("system") + b"\x940h\x00h\x01\x93" + text(command(mark)) + b"\x85R.",
        "memoize and put mixed": b"\x80\x04" + text("posix") + b"q\x00" + text("system") + b"q\x01" + text("collections") + b"\x94" + text("OrderedDict")
        + b"\x94" + b"h\x00h\x01\x93" + text(command(mark)) + b"\x85R.",
        "names from attributes": b"\x80\x05cnumpy\ndtype\n}" + text("a") + text("os") + b"s" + b"b" + b"cnumpy\ndtype.a\n" + text("system") + b"\x93" + arg + b".",
        "name with a dot": b"\x80\x04ccollections\nOrderedDict.__init__.__globals__\n0" + text("collections") + text("_sys.modules") + b"\x93.",
        "extension registry": b"\x80\x02\x82\x05" + arg + b".",
        "truncated after the call": b"\x80\x04" + run + arg,
        "rubbish after the call": b"\x80\x04" + run + arg + b"\xff\xff\xff",
        "after the stop": pickle.dumps({"a": 1}) + run + arg + b".",
        "a second pickle": pickle.dumps([1, 2]) + dumped(mark),
        "popped": b"\x80\x02" + run + arg + b"0N.",
        "protocol that is none": b"\x80\x09" + run + arg + b".",
        "frame that lies": b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00" + run + arg + b".",
        "pip": b"cpip\nmain\n(](Vinstall\nVevil\netR.",
        "resolve_name": b"cpkgutil\nresolve_name\n(Vos:system\ntR" + arg + b".",
        "asyncio, not imported by name": b"casyncio.unix_events\n_UnixSubprocessTransport._start\n(tR.",
        "operator": b"coperator\nattrgetter\n(Vsystem\ntR(cos\npath\ntR.",
        "numpy's own": b"cnumpy.testing._private.utils\nrunstring\n(V1\n}tR.",
        "torch's own": b"ctorch.utils.bottleneck.__main__\nrun_cprofile\n(V1\n}tR.",
        "a pickle in a pickle": b"\x80\x03c_pickle\nloads\nC" + bytes([len(dumped(mark))]) + dumped(mark) + b"\x85R.",
        "torch's pickle in a pickle": b"\x80\x03ctorch.storage\n_load_from_bytes\nC" + bytes([len(dumped(mark))]) + dumped(mark) + b"\x85R.",
        "attributes of a class": b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
        "calls what it made": b"\x80\x02ccollections\ndefaultdict\n)R)R.",
    }  # fmt: skip
