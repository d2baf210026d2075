"""The printed configuration: what it says, and that it is a configuration file itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.settings_file import KNOWN_KEYS, Loaded, load
from aiosd.settings_text import render, toml, without_password

EVERYTHING = {
    "AIOSD_JOBS__GRACE_S": "4.5",
    "AIOSD_SCHEDULER__SHARES": '{alice = 2, "b.c" = 0.5}',
    "AIOSD_QUEUES__GPU__MAX_RUNNING": "3",
    "AIOSD_RESOURCES__DEVICE": '[{kind = "fpga", paths = ["/dev/fpga*"], model = "a \\"b\\""}, {kind = "tape", count = 2}]',
}


@pytest.mark.parametrize("environment", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_what_is_printed_is_a_file_that_says_the_same(tmp_path: Path, environment: dict[str, str]) -> None:
    loaded = load(None, environment)
    file = tmp_path / "aiosd.toml"
    file.write_text(render(loaded), encoding="utf-8")
    assert load(file, {}).config == loaded.config


def test_every_setting_is_there_with_its_origin(tmp_path: Path) -> None:
    lines = render(load(None, EVERYTHING)).splitlines()
    for key in KNOWN_KEYS:
        name = key.partition(".")[2]
        assert any(line.startswith(f"{name} = ") for line in lines) or key == "resources.device", key
    above = lines[lines.index("grace_s = 4.5") - 1]
    assert above.endswith("[environment variable AIOSD_JOBS__GRACE_S]")
    assert "seconds" in above


def test_passwords_are_not_printed() -> None:
    text = render(load(None, {"AIOSD_STORAGE__URL": "postgresql://ann:hush@host/db"}))
    assert "hush" not in text
    assert 'url = "postgresql://ann:***@host/db"' in text
    assert without_password("sqlite:////var/lib/aios/aiosd.db") == "sqlite:////var/lib/aios/aiosd.db"


@given(st.text())
def test_any_text_survives(text: str) -> None:
    import tomllib

    if text.isprintable() or text.encode("utf-8", "ignore").decode() == text:
        assert tomllib.loads(f"x = {toml(text)}")["x"] == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_any_number_survives(number: float) -> None:
    import tomllib

    assert tomllib.loads(f"x = {toml(number)}")["x"] == number


def test_settings_that_are_taken_over_live_are_marked() -> None:
    text = render(Loaded(load(None, {}).config))
    assert "(reloadable)" in text.splitlines()[text.splitlines().index('policy = "fair"') - 1]
    assert "(reloadable)" not in text.splitlines()[text.splitlines().index('url = ""') - 1]
