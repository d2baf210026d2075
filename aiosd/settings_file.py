"""From a TOML file, the environment and the command line to a checked `Config`, with where each value came from.

Later sources win: defaults, the file, the environment (`AIOSD_SECTION__KEY`), the command line. Every problem of every
source is reported at once, each with the key, the value, what is allowed, and the nearest key that exists.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from aiosd.config import NAMED, Config, DeviceConfig
from aiosd.errors import ConfigError
from aiosd.setting import Section, meta_of
from aiosd.settings_rules import contradictions

PREFIX = "AIOSD_"
HINT = "`aiosd --print-config` shows every setting with its default, unit and range"
SECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

SECTIONS: dict[str, type[Section]] = {name: type(getattr(Config(), name)) for name in Config.__struct_fields__ if name not in NAMED}
KNOWN_KEYS = tuple(f"{section}.{key}" for section, kind in SECTIONS.items() for key in kind.__struct_fields__)

Table = Mapping[str, Any]  # what tomllib makes; checked value by value below


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and its story. `origins`: dotted key -> where its value comes from; a key that is not in it has its default."""

    config: Config
    file: str = ""  # empty: none was found
    origins: Mapping[str, str] = field(default_factory=dict)
    system: bool = False  # of the machine's daemon, not of a user's own


@dataclass(frozen=True, slots=True)
class _Given:
    """One value of one source. `as_text`: it comes as text from the environment, and numbers have to be read from it."""

    value: Any
    origin: str
    as_text: bool = False


def load(
    file: Path | None, environment: Mapping[str, str], places: Mapping[str, str] | None = None, command_line: Table | None = None, *, must_exist: bool = False
) -> Loaded:
    """The configuration as all sources make it.

    file          the TOML file; where it does not exist it counts as empty, unless `must_exist`
    places        defaults of [daemon] that depend on who runs it: state_directory, runtime_directory
    command_line  nested like the file
    raises        ConfigError with every problem of every source
    """
    problems: list[str] = []
    table = _read(file, must_exist) if file is not None else None
    given: dict[str, _Given] = {}
    for key, value in (places or {}).items():
        given[f"daemon.{key}"] = _Given(value, "default")
    _collect(table or {}, str(file), given, problems)
    for name, value in sorted(environment.items()):
        _collect_variable(name, value, given, problems)
    _collect(command_line or {}, "the command line", given, problems)
    config = _build(given, problems)
    if config is not None:
        problems += contradictions(config)
    if problems or config is None:
        raise ConfigError(_joined(problems), hint=HINT)
    origins = {key: g.origin for key, g in given.items() if g.origin != "default"}
    return Loaded(config, str(file) if table is not None else "", origins)


def _joined(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return f"the configuration has {len(problems)} problems:\n" + "\n".join(f"  {p}" for p in problems)


def _read(file: Path, must_exist: bool) -> Table | None:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise ConfigError(f"{file}: there is no such file", hint=f"`aiosd --print-config > {file}` writes one with all defaults") from None
        return None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}", hint=HINT) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text: byte {error.start} cannot be read", hint=HINT) from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="name another with --config, or correct its permissions") from None


def _collect(table: Table, origin: str, given: dict[str, _Given], problems: list[str]) -> None:
    """Every value of a nested table into `given`, under its dotted key; what does not exist into `problems`."""
    for section, content in table.items():
        if section not in SECTIONS and section not in NAMED:
            problems.append(f"{origin}: unknown section [{section}]" + _nearest(section, (*SECTIONS, *NAMED)))
        elif not isinstance(content, Mapping):
            problems.append(f"{origin}: {section} = {content!r} must be a table, [{section}]")
        elif section in NAMED:
            _collect_named(section, content, origin, given, problems)
        else:
            for key, value in content.items():
                _put(f"{section}.{key}", _Given(value, origin), given, problems)


def _collect_named(family: str, content: Table, origin: str, given: dict[str, _Given], problems: list[str]) -> None:
    for name, section in content.items():
        if not isinstance(section, Mapping):
            problems.append(f"{origin}: {family}.{name} = {section!r} must be a table, [{family}.{name}]")
        elif not SECTION_NAME.fullmatch(name):
            problems.append(
                f"{origin}: [{family}.{name}] has a name that is not allowed: letters, digits, '_' and '-', beginning with a letter or digit, at most 64"
            )
        else:
            given[f"{family}.{name}"] = _Given(None, origin)
            for key, value in section.items():
                _put(f"{family}.{name}.{key}", _Given(value, origin), given, problems)


def _collect_variable(name: str, value: str, given: dict[str, _Given], problems: list[str]) -> None:
    """`AIOSD_SCHEDULER__POLICY=fifo`. Variables without `__` are not settings, but one that nearly is one is a slip."""
    if not name.startswith(PREFIX):
        return
    parts = name.removeprefix(PREFIX).lower().split("__")
    origin = f"environment variable {name}"
    if len(parts) == 1:
        section, _, key = parts[0].partition("_")
        if key and f"{section}.{key}" in KNOWN_KEYS:
            problems.append(f"{origin}: write {PREFIX}{section.upper()}__{key.upper()}, with two underscores after the section")
        return
    if len(parts) == 3 and parts[0] in NAMED:
        given.setdefault(f"{parts[0]}.{parts[1]}", _Given(None, origin))
    _put(".".join(parts), _Given(value, origin, as_text=True), given, problems)


def _put(key: str, value: _Given, given: dict[str, _Given], problems: list[str]) -> None:
    section, _, last = key.rpartition(".")
    family = NAMED.get(section.partition(".")[0]) if "." in section else None
    known = KNOWN_KEYS if family is None else tuple(f"{section}.{k}" for k in family.__struct_fields__)
    if key in known:
        given[key] = value
        return
    elsewhere = [k for k in KNOWN_KEYS if k.endswith(f".{last}")]
    problems.append(f"{value.origin}: unknown key {key}" + (f"; did you mean {elsewhere[0]}?" if elsewhere else _nearest(key, known)))


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}" if len(known) <= 10 else ""


def _build(given: Mapping[str, _Given], problems: list[str]) -> Config | None:
    sections = {name: _section(kind, name, given, problems) for name, kind in SECTIONS.items()}
    named = {family: _named(family, kind, given, problems) for family, kind in NAMED.items()}
    return None if problems else msgspec.convert({**sections, **named}, Config)


def _named(family: str, kind: type[Section], given: Mapping[str, _Given], problems: list[str]) -> dict[str, Section | None]:
    names = [key.removeprefix(f"{family}.") for key, g in given.items() if key.startswith(f"{family}.") and g.value is None]
    return {name: _section(kind, f"{family}.{name}", given, problems) for name in names}


def _section(kind: type[Section], name: str, given: Mapping[str, _Given], problems: list[str]) -> Section | None:
    values: dict[str, Any] = {}
    for key in kind.__struct_fields__:
        if (g := given.get(f"{name}.{key}")) is not None:
            values[key] = _value(kind, key, f"{name}.{key}", g, problems)
    return None if problems else kind(**values)


def _value(kind: type[Section], key: str, dotted: str, g: _Given, problems: list[str]) -> object:
    annotation = kind.__annotations__[key]
    base = get_args(annotation)[0]
    value = g.value
    if g.as_text and get_origin(base) in (dict, tuple):
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            problems.append(f'{g.origin}: {value!r} cannot be read; write it as TOML: {{alice = 2}} or [{{kind = "fpga", count = 1}}]')
            return None
    if kind.__name__ == "ResourcesConfig" and key == "device" and isinstance(value, list):
        return tuple(_device(item, f"{dotted}[{at}]", g.origin, problems) for at, item in enumerate(value))
    try:
        return msgspec.convert(value, annotation, strict=not g.as_text)
    except msgspec.ValidationError:
        problems.extend(_complaints(kind, key, dotted, value, g))
        return None


def _complaints(kind: type[Section], key: str, dotted: str, value: object, g: _Given) -> Iterator[str]:
    """One line naming the key, the value and what is allowed; of a table, one line an entry that is wrong."""
    base = get_args(kind.__annotations__[key])[0]
    if get_origin(base) is dict and isinstance(value, Mapping):
        entry = get_args(base)[1]
        for name, item in value.items():
            try:
                msgspec.convert(item, entry)
            except msgspec.ValidationError:
                yield f"{g.origin}: {dotted}.{name} = {item!r} is not allowed: it must be {allowed(entry)}"
    else:
        yield f"{g.origin}: {dotted} = {value!r} is not allowed: it must be {allowed(kind.__annotations__[key])}"


def _device(item: object, dotted: str, origin: str, problems: list[str]) -> DeviceConfig | None:
    if not isinstance(item, Mapping):
        problems.append(f"{origin}: {dotted} = {item!r} must be a table, [[resources.device]]")
        return None
    known = DeviceConfig.__struct_fields__
    wrong = [f"{origin}: unknown key {dotted}.{key}" + _nearest(str(key), known) for key in item if key not in known]
    if "kind" not in item:
        wrong.append(f'{origin}: {dotted} needs a kind, as in kind = "fpga"')
    values = {key: _value(DeviceConfig, key, f"{dotted}.{key}", _Given(v, origin), wrong) for key, v in item.items() if key in known}
    problems.extend(wrong)
    return None if wrong else DeviceConfig(**values)  # type: ignore[arg-type]  # each was converted to its field's type


def allowed(annotation: Any) -> str:
    """What may stand there, in words: `a whole number from 1 to 100`."""
    base, *metadata = get_args(annotation)
    meta = next(m for m in metadata if isinstance(m, msgspec.Meta))
    if get_args(base) and get_origin(base) not in (dict, tuple):
        return "one of " + ", ".join(repr(choice) for choice in get_args(base))
    if base in (int, float):
        return f"a {'whole ' if base is int else ''}number from {meta.ge:_} to {meta.le:_}"
    if base is str:
        return f"text that matches {meta.pattern}" if meta.pattern else "text"
    if base is bool:
        return "true or false"
    return "a table like {alice = 2.0}" if get_origin(base) is dict else "a list of text"


def help_of(kind: type[Section], key: str) -> str:
    """The setting's help with its range: what `--print-config` writes above it."""
    description = meta_of(kind, key).description or ""
    words = allowed(kind.__annotations__[key])
    return description if words in ("text", "true or false") or words.startswith(("a table", "a list")) else f"{description}; {words}"
