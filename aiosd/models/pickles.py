"""A pickle walked without doing anything it says: which names it would import and call, and the shape of what it would build.

Nothing is imported, called or unpickled: each opcode moves plain records on a stack of our own. What is built may contain itself,
and share its parts so often that to compare or print it would take for ever: so these records are compared by what they are only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiosd.models.opcodes import Opaque, opcode
from aiosd.models.reading import Malformed, Region


@dataclass(frozen=True, slots=True)
class Global:
    """Something that the pickle would import. Both are "?" where they are worked out only while it is loaded."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False, slots=True)
class Persistent:
    """What the loader would be asked for by an id of the pickle's own: storages, in PyTorch's."""

    id: object


@dataclass(eq=False, repr=False, slots=True)
class Pairs:
    """A dictionary; its keys may be anything."""

    pairs: list[tuple[object, object]] = field(default_factory=list)

    def get(self, key: str) -> object:
        """The last value of a key that is a text; None: there is none."""
        return next((value for name, value in reversed(self.pairs) if isinstance(name, str) and name == key), None)


@dataclass(eq=False, repr=False, slots=True)
class Made:
    """What a call of `callee` with `args` would give, and what would be put into it afterwards."""

    callee: object
    args: object
    state: object = None
    items: list[object] = field(default_factory=list)
    pairs: list[tuple[object, object]] = field(default_factory=list)
    times_set: int = 0

    @property
    def made_by(self) -> str:
        """As "module.name"; "": not by something that was imported."""
        return str(self.callee) if isinstance(self.callee, Global) else ""

    def arg(self, index: int) -> object:
        return self.args[index] if isinstance(self.args, tuple) and index < len(self.args) else None


@dataclass(repr=False, slots=True)
class Walk:
    """One pickle of `region`, from `at`. What was found stays in `globals` also when `load` raises: a loader would have come as far.

    globals     what it would import, in the order of the first mention, each with the offset behind that
    called      those of them that it would call
    persistent  the ids that it would ask its loader for
    """

    region: Region
    at: int = 0
    globals: dict[Global, int] = field(default_factory=dict)
    called: set[Global] = field(default_factory=set)
    persistent: list[object] = field(default_factory=list)
    protocol: int = 0
    stack: list[object] = field(default_factory=list)
    marks: list[list[object]] = field(default_factory=list)
    memo: dict[object, object] = field(default_factory=dict)

    def load(self) -> object:
        """What it would build; `at` is behind its end then. Raises Malformed and TooMuch."""
        while True:
            self.region.spend()
            began = self.at
            name, argument, self.at = opcode(self.region, began)
            try:
                if name == "STOP":
                    return self.pop()
                _ACTIONS[name](self, argument)
            except (IndexError, KeyError):
                raise Malformed(f"opcode {name} at offset {began} has nothing to work on") from None

    def built(self, made: Made) -> None:
        """Called when the state of an object is set; where a format puts raw bytes behind that, its walk moves `at`."""

    def setting(self, target: object) -> None:
        """Called when the state of anything is set, before `built`."""

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        return self.stack.pop()

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mention(self, module: object, name: object) -> Global:
        known = isinstance(module, str) and isinstance(name, str)
        found = Global(str(module), str(name)) if known else Global("?", "?")
        self.globals.setdefault(found, self.at)
        return found

    def call(self, callee: object, args: object, state: object = None) -> None:
        if isinstance(callee, Global):
            self.called.add(callee)
        self.push(Made(callee, args, state))


def _pop(walk: Walk, _: object) -> None:
    if walk.stack:
        walk.pop()
    else:
        walk.pop_mark()


def _global(walk: Walk, names: object) -> None:
    assert isinstance(names, tuple)
    walk.push(walk.mention(*names))


def _stack_global(walk: Walk, _: object) -> None:
    name, module = walk.pop(), walk.pop()
    walk.push(walk.mention(module, name))


def _reduce(walk: Walk, _: object) -> None:
    args, callee = walk.pop(), walk.pop()
    walk.call(callee, args)


def _new_with_keywords(walk: Walk, _: object) -> None:
    keywords, args, callee = walk.pop(), walk.pop(), walk.pop()
    walk.call(callee, args, keywords)


def _instance(walk: Walk, names: object) -> None:
    assert isinstance(names, tuple)
    args = walk.pop_mark()
    walk.call(walk.mention(*names), tuple(args))


def _object(walk: Walk, _: object) -> None:
    items = walk.pop_mark()
    walk.call(items[0], tuple(items[1:]))


def _build(walk: Walk, _: object) -> None:
    state, made = walk.pop(), walk.stack[-1]
    if isinstance(made, Made):
        made.state, made.times_set = state, made.times_set + 1
    walk.setting(made)
    if isinstance(made, Made):
        walk.built(made)


def _persist(walk: Walk, id: object) -> None:
    walk.persistent.append(id)
    walk.push(Persistent(id))


def _protocol(walk: Walk, number: object) -> None:
    walk.protocol = number if isinstance(number, int) else 0


def _tuple_of(count: int) -> Callable[[Walk, object], None]:
    def act(walk: Walk, _: object) -> None:
        walk.push(tuple(reversed([walk.pop() for _ in range(count)])))

    return act


def _extend(walk: Walk, items: list[object]) -> None:
    target = walk.stack[-1]
    if isinstance(target, Made):
        target.items.extend(items)
    elif isinstance(target, list):
        target.extend(items)


def _set_items(walk: Walk, items: list[object]) -> None:
    target = walk.stack[-1]
    if isinstance(target, Pairs | Made):
        target.pairs.extend(_paired(items))


def _paired(items: list[object]) -> list[tuple[object, object]]:
    return list(zip(items[::2], items[1::2], strict=False))


def _pop_two(walk: Walk) -> list[object]:
    value, key = walk.pop(), walk.pop()
    return [key, value]


def _constant(value: object) -> Callable[[Walk, object], None]:
    return lambda walk, _: walk.push(value)


def _set(walk: Walk, items: list[object]) -> None:
    walk.push(Made(Global("builtins", "set"), (), items=items))


_ACTIONS: Mapping[str, Callable[[Walk, object], None]] = {
    **dict.fromkeys(
        ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
         "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "FLOAT", "BINFLOAT"],
        Walk.push,
    ),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], lambda walk, index: walk.push(walk.memo[index])),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], lambda walk, index: walk.memo.__setitem__(index, walk.stack[-1])),
    **dict.fromkeys(["EXT1", "EXT2", "EXT4"], lambda walk, code: walk.push(walk.mention("copyreg", f"extension {code}"))),
    **dict.fromkeys(["FRAME", "READONLY_BUFFER"], lambda walk, _: None),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "NEXT_BUFFER": lambda walk, _: walk.push(Opaque(walk.at, 0)),
    "EMPTY_LIST": lambda walk, _: walk.push([]),
    "EMPTY_DICT": lambda walk, _: walk.push(Pairs()),
    "EMPTY_SET": lambda walk, _: _set(walk, []),
    "MARK": lambda walk, _: walk.mark(),
    "LIST": lambda walk, _: walk.push(walk.pop_mark()),
    "TUPLE": lambda walk, _: walk.push(tuple(walk.pop_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "DICT": lambda walk, _: walk.push(Pairs(_paired(walk.pop_mark()))),
    "FROZENSET": lambda walk, _: _set(walk, walk.pop_mark()),
    "APPEND": lambda walk, _: _extend(walk, [walk.pop()]),
    "APPENDS": lambda walk, _: _extend(walk, walk.pop_mark()),
    "ADDITEMS": lambda walk, _: _extend(walk, walk.pop_mark()),
    "SETITEM": lambda walk, _: _set_items(walk, _pop_two(walk)),
    "SETITEMS": lambda walk, _: _set_items(walk, walk.pop_mark()),
    "POP": _pop,
    "POP_MARK": lambda walk, _: walk.pop_mark().clear(),
    "DUP": lambda walk, _: walk.push(walk.stack[-1]),
    "MEMOIZE": lambda walk, _: walk.memo.__setitem__(len(walk.memo), walk.stack[-1]),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "INST": _instance,
    "OBJ": _object,
    "BUILD": _build,
    "PERSID": _persist,
    "BINPERSID": lambda walk, _: _persist(walk, walk.pop()),
    "PROTO": _protocol,
}  # fmt: skip
