"""A command line that talks to a fake client: fixtures `fake` and `cli`."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from aiosctl import session
from aiosctl.cli import root
from aiosctl.failures import guarded
from tests.unit.aiosctl.fake_client import FakeClient


@dataclass(frozen=True)
class Result:
    status: int
    out_bytes: bytes
    err_bytes: bytes

    @property
    def out(self) -> str:
        return self.out_bytes.decode()

    @property
    def err(self) -> str:
        return self.err_bytes.decode()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    client = FakeClient()
    monkeypatch.setattr(session, "connect", lambda **options: client)
    return client


@pytest.fixture
def cli(capsysbinary: pytest.CaptureFixture[bytes], fake: FakeClient, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("AIOS_DEBUG", raising=False)

    def invoke(*words: str) -> Result:
        status = guarded(lambda: root.main(args=list(words), prog_name="aiosctl", standalone_mode=False))
        captured = capsysbinary.readouterr()
        return Result(status, captured.out, captured.err)

    return invoke
