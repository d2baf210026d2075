"""How a version is named: `digits`, `digits:prod`, `digits@abc123`, `digits:main~2`, `digits:^1.2`; and what a name leads to."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from aiosd.errors import InvalidArgument, NotFound
from aiosd.models.history import LEAST_LETTERS, is_id
from aiosd.models.manifest import DIGEST_LETTERS
from aiosd.models.model import Reference, RefKind
from aiosd.models.names import check_model_name, check_reference_name
from aiosd.models.semantic import Range, is_range, parse_range

MAIN = "main"
MOST_BACK = 1_000_000
_MOST_SHOWN = 10

_BACK = re.compile(r"((?:~\d{0,7})*)")
FORMS = '"digits", "digits:prod", "digits@abc123", "digits:main~2" or "digits:^1.2"'


@dataclass(frozen=True, slots=True)
class Ref:
    """At most one of `name`, `id` and `range` is given; none: main, or the newest where there is no main. `back`: so many first parents."""

    model: str
    name: str = ""
    id: str = ""
    range: Range | None = None
    back: int = 0

    def __str__(self) -> str:
        chosen = f"@{self.id}" if self.id else f":{self.range.text if self.range else self.name}" if self.range or self.name else ""
        return self.model + chosen + (f"~{self.back}" if self.back else "")


def parse_ref(text: str, what: str = "model") -> Ref:
    """Raises InvalidArgument, with what is wrong and the forms that are right."""
    named, back = _without_back(text)
    model, at, id_ = named.partition("@")
    if at:
        return Ref(check_model_name(model, what), id=_checked_id(id_, text), back=back)
    model, colon, name = named.partition(":")
    check_model_name(model, what)
    if not colon:
        return Ref(model, back=back)
    if is_range(name):
        return Ref(model, range=parse_range(name), back=back)
    if not name:
        raise InvalidArgument(f"{text[:100]!r} names nothing after its ':'", hint=f"write it like {FORMS}", given=text[:100])
    return Ref(model, name=check_reference_name(name), back=back)


def parse_inside(text: str, model: str, what: str = "model") -> Ref:
    """A version of a model that is known already: "prod", "@abc123", "main~2", or in full, which the model's own name is, too."""
    if text.startswith(("@", ":")):
        return parse_ref(model + text, what)
    ref = parse_ref(text, what) if ":" in text or "@" in text or text.partition("~")[0] == model else parse_ref(f"{model}:{text}", what)
    if ref.model != model:
        raise InvalidArgument(f"{text[:100]!r} is of another {what} than {model}", hint=f"name a version of {model}, such as {model}:main", given=text[:100])
    return ref


def _without_back(text: str) -> tuple[str, int]:
    named, tilde, _ = text.partition("~")
    steps = text[len(named) :]
    if not tilde:
        return text, 0
    if named.endswith(":"):
        raise InvalidArgument(
            f"{text[:100]!r}: ranges begin with '^'; '~' counts parents of what is before it", hint=f"write it like {FORMS}", given=text[:100]
        )
    if not _BACK.fullmatch(steps):
        raise InvalidArgument(f"{text[:100]!r}: only a number may follow '~'", hint=f"write it like {FORMS}", given=text[:100])
    back = sum(int(step or 1) for step in steps.split("~")[1:])
    if back > MOST_BACK:
        raise InvalidArgument(f"{text[:100]!r} goes back further than {MOST_BACK} versions", hint="name the version by its id", given=text[:100])
    return named, back


def _checked_id(id_: str, text: str) -> str:
    lowered = id_.lower()
    if not is_id(lowered):
        hint = f"give {LEAST_LETTERS} to {DIGEST_LETTERS} hexadecimal digits; a branch or tag comes after ':', not '@'"
        raise InvalidArgument(f"{text[:100]!r}: {id_[:70]!r} is no id of a version", hint=hint, given=text[:100])
    return lowered


def led_to(ref: Ref, references: Sequence[Reference], newest: str) -> str:
    """The id, or the letters of one, that `ref` stands for, its `back` left aside. Raises NotFound with what there is.

    newest  the id of the version that was registered last; "": there is none
    """
    if ref.id:
        return ref.id
    by_name = {reference.name: reference for reference in references}
    if ref.range is not None:
        tags = [reference.name for reference in references if reference.kind is RefKind.TAG]
        best = ref.range.best(tags)
        if best is None:
            raise NotFound(f"no tag of {ref.model} is in {ref.range.text}", hint=_known(tags, "tags"), model=ref.model, given=ref.range.text)
        return by_name[best].version
    if ref.name:
        return _named(ref, by_name).version
    main = by_name.get(MAIN)
    if main is None and not newest:
        raise NotFound(f"{ref.model} has no version yet", hint=f"register one: aiosctl model register {ref.model} PATH", model=ref.model)
    return main.version if main is not None else newest


def _named(ref: Ref, by_name: dict[str, Reference]) -> Reference:
    found = by_name.get(ref.name)
    if found is not None:
        return found
    near = get_close_matches(ref.name, by_name, n=3)
    hint = f"did you mean {' or '.join(f'{ref.model}:{name}' for name in near)}?" if near else _known(sorted(by_name), "branches, tags and aliases")
    if is_id(ref.name):
        hint = f"an id comes after '@': {ref.model}@{ref.name}; {hint}"
    raise NotFound(f"{ref.model} has no branch, tag or alias {ref.name!r}", hint=hint, model=ref.model, reference=ref.name)


def _known(names: Collection[str], what: str) -> str:
    if not names:
        return f"it has no {what}"
    shown = ", ".join(list(names)[:_MOST_SHOWN])
    return f"it has {shown}" + (f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else "")
