"""Records as values that JSON can hold, and back by their type hints."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def encode(value: object) -> Any:
    """Dataclasses and named tuples by field, mappings with keys that are no text as pairs, sets in order. Raises TypeError for the rest."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: encode(each) for name, each in zip(value._fields, value, strict=True)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: encode(each) for key, each in value.items()}
        return [[encode(key), encode(each)] for key, each in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(map(encode, value))
    if isinstance(value, list | tuple):
        return [encode(each) for each in value]
    raise TypeError(f"{type(value).__name__} cannot be encoded")


def decode(hint: Any, value: Any) -> Any:
    """What `encode` was given, where `hint` is its type. Fields that it has no name for are left out. Raises TypeError, KeyError or ValueError."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return None if value is None else decode(next(arm for arm in args if arm is not type(None)), value)
    if origin is tuple:
        parts = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(decode(each, one) for each, one in zip(parts, value, strict=True))
    if origin is frozenset:
        return frozenset(decode(args[0], one) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        pairs: Any = value.items() if isinstance(value, dict) else value
        return {decode(args[0], key): decode(args[1], one) for key, one in pairs}
    if origin is not None:
        return tuple(decode(args[0], one) for one in value)
    if is_dataclass(hint) or hasattr(hint, "_fields"):
        hints = get_type_hints(hint)
        return hint(**{name: decode(hints[name], one) for name, one in value.items() if name in hints})
    return hint(value)
