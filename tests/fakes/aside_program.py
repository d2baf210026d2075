"""A program for the child of host/aside.py that does what its request says."""

import json
import os
import resource
import time
from typing import BinaryIO


def main(source: BinaryIO, sink: BinaryIO) -> int:
    request = json.loads(source.readline())

    def say(line: object) -> None:
        sink.write(json.dumps(line).encode() + b"\n")
        sink.flush()

    match request["do"]:
        case "count":
            say({"bytes": len(source.read())})
        case "who":
            limits = [resource.getrlimit(limit)[1] for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)]
            say({"uid": os.getuid(), "groups": os.getgroups(), "nice": os.nice(0), "limits": limits, "cwd": os.getcwd(), "parent": os.getppid()})
        case "hang":
            say({"pid": os.getpid()})
            time.sleep(600)
        case "fail":
            say({"error": {"class": "NotFound", "message": "there is none", "hint": "look elsewhere", "facts": {"thing": "it"}}})
        case "crash":
            raise ZeroDivisionError("on purpose")
        case "burn":
            while True:
                pass
        case "fill":
            bytearray(1 << 40)
        case "write":
            with open(request["path"], "w") as file:
                file.write("x")
    return 0
