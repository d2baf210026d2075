"""How messages look, where they go, and what is struck out of them."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.typing import FilteringBoundLogger

from aiosd import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    for library in logs.LIBRARIES:
        logging.getLogger(library).setLevel(logging.NOTSET)


def lines(level: str = "info", log_format: str = "auto") -> tuple[io.StringIO, FilteringBoundLogger]:
    out = io.StringIO()
    logs.configure(level, log_format, out)
    return out, logs.logger("aiosd.test")


def test_elsewhere_than_on_a_terminal_a_line_is_json_with_its_fields() -> None:
    out, log = lines()
    log.info("job started", job="42.7", attempt=1)
    said = json.loads(out.getvalue())
    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "job started", "level": "info", "logger": "aiosd.test", "job": "42.7", "attempt": 1}


def test_on_a_terminal_it_is_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    logs.configure("info", "auto", out)
    logs.logger("aiosd.test").info("job started", job=42)
    assert "job started" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_libraries_take_the_same_road_but_do_not_chatter() -> None:
    out, _ = lines("debug")
    logging.getLogger("alembic.runtime").info("chatter")
    logging.getLogger("alembic.runtime").warning("look: %s", "here")
    said = json.loads(out.getvalue())
    assert (said["event"], said["logger"], said["level"]) == ("look: here", "alembic.runtime", "warning")


def test_the_level_holds_and_can_be_changed() -> None:
    out, log = lines("warning")
    log.info("unheard")
    logs.set_level("debug")
    log.debug("heard")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["heard"]


def test_secrets_are_struck_out() -> None:
    out, log = lines()
    log.info("opening", url="postgresql://ann:hush@host/db", api_token="hush", environment={"KEY": "hush"})
    assert "hush" not in out.getvalue()
    assert json.loads(out.getvalue())["url"] == "postgresql://ann:***@host/db"


def test_an_exception_is_told_with_its_traceback() -> None:
    out, log = lines()
    try:
        raise ValueError("boom at postgresql://ann:hush@host/db")
    except ValueError:
        log.exception("failed")
    said = json.loads(out.getvalue())
    assert "ValueError: boom" in said["exception"]
    assert "hush" not in said["exception"]


def test_what_json_does_not_know_is_written_as_text(tmp_path: Path) -> None:
    out, log = lines()
    log.info("at", path=tmp_path, odd={1, 2} and b"\xff", lone="\udcff")
    assert json.loads(out.getvalue())["path"] == str(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_on_a_full_disk_does_not_stop_the_daemon() -> None:
    with Path("/dev/full").open("w") as full:
        logs.configure("info", "json", full)
        logs.logger("aiosd.test").info("unheard")
        logging.getLogger("grpc").warning("unheard")
