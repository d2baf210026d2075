"""What importing the SDK costs: a training process that only reports must not pay for gRPC."""

import json
import subprocess
import sys

HEAVY = ("grpc", "google.protobuf", "cloudpickle", "asyncio", "aiosd", "sqlalchemy", "psutil", "numpy")


def loaded_after(code: str) -> list[str]:
    program = f"{code}\nimport sys, json\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_import_alone_is_light() -> None:
    assert loaded_after("import aios") == []


def test_run_is_light() -> None:
    assert loaded_after("import aios\nwith aios.run() as run:\n    run.log(step=1, loss=0.5)\n    run.progress(1, 2)\n    run.preempting") == []


def test_units_are_light() -> None:
    assert loaded_after("from aios.units import parse_bytes\nfrom aios.devices import parse_gpus\nimport aios.daemon") == []


def test_a_client_brings_grpc_and_protobuf_only() -> None:
    assert set(loaded_after("import aios\naios.Client('unix:/nowhere')")) <= {"grpc", "google.protobuf", "asyncio"}


def test_functions_stay_functions_when_their_modules_are_imported() -> None:
    code = "import aios.jobs, aios.run, aios.queues, aios.node\nfrom aios.jobs import Job\nassert all(map(callable, (aios.jobs, aios.run, aios.node)))"
    assert loaded_after(code) == []


def test_every_public_name_is_there() -> None:
    import aios

    for name in aios.__all__:
        assert getattr(aios, name) is not None
