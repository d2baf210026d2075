"""What the documents say of the tree is so."""

import re
import tomllib
from pathlib import Path

import aiosd
from aiosd import __main__ as aiosd_program
from tests.arch.source import ROOT

README = ROOT / "README.md"
_TREE_PATH = re.compile(r"`((?:aios|aiosctl|aiosd|protos|tests|systemd|benchmarks|docs)/[\w./-]*)`")


def test_every_path_that_the_readme_names_is_there() -> None:
    named = set(_TREE_PATH.findall(README.read_text(encoding="utf-8")))
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


def test_what_the_project_promises_to_hold_is_there() -> None:
    for name in ("LICENSE", "CONTRIBUTING.md", "Makefile", "pyproject.toml", "systemd/aiosd.service", "systemd/user/aiosd.service"):
        assert (ROOT / name).is_file(), name
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_package_is_typed_and_has_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", aiosd.__version__)
    assert all((ROOT / package / "py.typed").exists() for package in ("aios", "aiosctl", "aiosd"))


def test_units_let_jobs_outlive_the_daemon() -> None:
    for unit in ("systemd/aiosd.service", "systemd/user/aiosd.service"):
        lines = (ROOT / unit).read_text(encoding="utf-8").splitlines()
        assert {"Type=notify", "KillMode=process", "Delegate=yes", "Restart=on-failure"} <= set(lines), unit
        assert any(line.startswith("WatchdogSec=") for line in lines), unit
        assert f"RestartPreventExitStatus={aiosd_program.WRONG_USAGE} {aiosd_program.NEEDS_A_PERSON}" in lines, unit


# What a process inherits from its unit, and so every shim and job from the daemon: a job would meet it as a wall.
_INHERITED = re.compile(
    r"^(Protect|Private|Restrict|NoNewPrivileges|SystemCall|MemoryDenyWriteExecute|LockPersonality|ReadOnlyPaths|InaccessiblePaths|RemoveIPC"
    r"|DynamicUser|User=|Nice=|IOScheduling|CPUAffinity|CPUScheduling|LimitMEMLOCK|LimitCORE|AmbientCapabilities|SecureBits|DevicePolicy|DeviceAllow)"
)


def test_the_unit_forbids_nothing_that_jobs_would_inherit() -> None:
    lines = (ROOT / "systemd/aiosd.service").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if _INHERITED.match(line)]
    assert "LimitNOFILE=1024:524288" in lines  # jobs get the soft limit that every program expects


def test_generated_code_is_asked_for_in_the_version_that_made_it() -> None:
    """A grpcio older than the tools that made aios/v1 refuses to load it, so the floor and the pin go together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    made_with = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", Path(ROOT / "aios/v1/jobs_pb2_grpc.py").read_text(encoding="utf-8"))
    protobuf = re.search(r"Protobuf Python Version: ([\d.]+)", Path(ROOT / "aios/v1/jobs_pb2.py").read_text(encoding="utf-8"))
    assert made_with is not None
    assert protobuf is not None
    assert f"grpcio>={made_with[1]}" in project["dependencies"]
    assert f"protobuf>={protobuf[1]}" in project["dependencies"]
    assert f"grpcio-tools=={made_with[1]}" in project["optional-dependencies"]["dev"]
