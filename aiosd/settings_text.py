"""A configuration as commented TOML: every setting with help, unit, range and origin; itself a valid configuration file."""

import json
import re
from collections.abc import Iterator

from aiosd.config import NAMED, Config, DeviceConfig
from aiosd.setting import Section, reloadable
from aiosd.settings_file import SECTIONS, Loaded, help_of

_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]+@")


def render(loaded: Loaded) -> str:
    """What `aiosd --print-config` prints."""
    return "\n".join(_lines(loaded)) + "\n"


def without_password(url: str) -> str:
    """The URL of a database as it may be shown: `postgresql://user:***@host/database`."""
    return _PASSWORD.sub(r"\1:***@", url)


def _lines(loaded: Loaded) -> Iterator[str]:
    config = loaded.config
    yield "# The configuration of aiosd: what is in force, with help, and where each value comes from."
    yield f"# File: {loaded.file or 'none was found'}. Each setting is also AIOSD_SECTION__KEY in the environment, which wins over the file."
    yield "# Settings marked (reloadable) are taken over by a running daemon at `aiosctl daemon reload` or SIGHUP."
    for name, kind in SECTIONS.items():
        yield from ("", f"# {_heading(kind)}", f"[{name}]")
        yield from _settings(getattr(config, name), name, loaded)
    for family, of_family in NAMED.items():
        yield from _named(family, of_family, config, loaded)
    yield from _devices(config)


def _settings(section: Section, name: str, loaded: Loaded) -> Iterator[str]:
    for key in section.__struct_fields__:
        if name == "resources" and key == "device":
            continue  # an array of tables, after all plain settings
        value = getattr(section, key)
        origin = loaded.origins.get(f"{name}.{key}", "default")
        if name == "storage" and key == "url" and without_password(value) != value:
            value, origin = without_password(value), f"{origin}; the password is not shown"
        yield f"# {help_of(type(section), key)}{_marks(section, key)} [{origin}]"
        yield f"{key} = {toml(value)}"


def _marks(section: Section, key: str) -> str:
    return " (reloadable)" if reloadable(type(section), key) else ""


def _named(family: str, kind: type[Section], config: Config, loaded: Loaded) -> Iterator[str]:
    yield from ("", f"# {_heading(kind)}")
    for name, section in getattr(config, family).items():
        yield f"[{family}.{toml_key(name)}]"
        yield from _settings(section, f"{family}.{name}", loaded)
        yield ""
    if not getattr(config, family):
        yield f"# [{family}.NAME]"
        yield from _sample(kind())


def _devices(config: Config) -> Iterator[str]:
    yield from ("", f"# {_heading(DeviceConfig)}")
    for device in config.resources.device:
        yield "[[resources.device]]"
        yield from (f"{key} = {toml(getattr(device, key))}" for key in device.__struct_fields__)
    if not config.resources.device:
        yield "# [[resources.device]]"
        yield from _sample(DeviceConfig(kind="fpga", paths=("/dev/fpga*",)))


def _sample(section: Section) -> Iterator[str]:
    for key in section.__struct_fields__:
        yield f"#   {key} = {toml(getattr(section, key))}".ljust(44) + f" # {help_of(type(section), key)}"


def _heading(kind: type[Section]) -> str:
    return (kind.__doc__ or "").strip()


def toml(value: object) -> str:
    """A value as TOML. TOML's basic strings are JSON's, and DEL is the one character that JSON leaves as it is."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:_}"
        case float():
            return f"{value:_}" if value < 1e15 else repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{toml_key(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
        case tuple() | list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
    raise TypeError(f"no setting has a value like {value!r}")


def toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)
