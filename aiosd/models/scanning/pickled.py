"""One pickle, followed as its loaders would, with a list of what it would do that building data does not need."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from aiosd.models.findings import Severity
from aiosd.models.formats.joblib import WRAPPER, JoblibWalk, item_bytes
from aiosd.models.pickles import Global, Made, Pairs, Walk
from aiosd.models.reading import Region, Unreadable, shown
from aiosd.models.scanning.allowed import judge

_NEWEST_PROTOCOL = 5
NAMED = "it would "  # in what is told of a name that may be one of Python's
Told = tuple[Severity, str]


@dataclass(slots=True)
class Followed:
    """`end`: the offset behind it; `trouble`: why it could not be followed further, "" where it was to its end; `names`: all that it would import."""

    told: list[Told] = field(default_factory=list)
    end: int = 0
    trouble: str = ""
    is_joblib: bool = False
    names: Collection[Global] = ()

    @property
    def has_names(self) -> bool:
        """Whether anything that it would import reads like a name of Python's; other bytes, taken for a pickle, rarely do."""
        return any(NAMED in what for _, what in self.told)


class Watch(JoblibWalk):
    """A walk that keeps what it does not like. `arrays` False: as pickle alone would load it, to whom joblib's arrays are opcodes."""

    __slots__ = ("arrays_pass", "loose_wrappers", "odd", "scripted")

    def __init__(self, region: Region, at: int = 0, *, arrays: bool = True, scripted: bool = False) -> None:
        super().__init__(region, at)
        self.arrays_pass, self.scripted = arrays, scripted
        self.odd: dict[str, Severity] = {}
        self.loose_wrappers = 0

    def push(self, value: object) -> None:
        self.loose_wrappers += _is_wrapper(value)
        super().push(value)

    def call(self, callee: object, args: object, state: object = None) -> None:
        self.loose_wrappers -= _is_wrapper(callee)
        if not isinstance(callee, Global):
            self.odd["calls what it has made itself"] = Severity.DANGER
        super().call(callee, args, state)

    def setting(self, target: object) -> None:
        if not isinstance(target, Made):
            self.odd["changes what it has imported, or what is no object"] = Severity.DANGER
        elif target.times_set > 1:
            self.odd["sets up one object twice"] = Severity.DANGER

    def built(self, made: Made) -> None:
        if not self.arrays_pass:
            return
        if made.made_by == WRAPPER and not (isinstance(made.state, Pairs) and _is_plain(made.state.get("dtype"))):
            self.odd["describes an array in a way that joblib does not"] = Severity.DANGER
        super().built(made)

    def inside(self) -> Walk:
        return Watch(self.region, self.at, arrays=False)

    def adopt(self, inner: Walk) -> None:
        super().adopt(inner)
        if isinstance(inner, Watch):
            self.odd |= inner.odd

    def told(self) -> list[Told]:
        """What it would import and call that is not on the list, and what else is odd."""
        found: list[Told] = []
        for one in self.globals:
            severity = judge(one.module, one.name, scripted=self.scripted)
            if severity is not None:
                found.append((severity, _would(one, called=one in self.called)))
        found += [(severity, f"it {what}") for what, severity in self.odd.items()]
        if self.loose_wrappers and self.arrays_pass:
            found.append((Severity.DANGER, "it hides an array of joblib from whoever looks"))
        if self.protocol > _NEWEST_PROTOCOL:
            found.append((Severity.BROKEN, f"protocol {self.protocol} of pickle is not known"))
        return found


def follow(region: Region, at: int = 0, *, arrays: bool = True, scripted: bool = False) -> Followed:
    """Never raises for what is in it: what was found until it broke is told, for a loader would have come as far."""
    walk, trouble = Watch(region, at, arrays=arrays, scripted=scripted), ""
    try:
        walk.load()
    except (Unreadable, RecursionError, MemoryError) as error:
        trouble = str(error) or type(error).__name__
    return Followed(walk.told(), walk.at, trouble, walk.is_joblib, walk.globals.keys())


def without_joblib(region: Region, at: int, known: Collection[Global]) -> list[Told]:
    """What is data to joblib is opcodes to whoever loads the file by pickle alone: names that only they would come upon."""
    walk = Watch(region, at, arrays=False)
    with suppress(Unreadable, RecursionError, MemoryError):  # as numbers are
        walk.load()
    return [(Severity.DANGER, f"without joblib {_would(one, called=one in walk.called)}") for one in walk.globals if one not in known and _is_name(one)]


def _would(one: Global, *, called: bool) -> str:
    verb = "call" if called else "import"
    if one.module == "?":
        return f"{NAMED}{verb} what is worked out only while it is loaded"
    return f"{NAMED}{verb} {one}" if _is_name(one) else f"it may {verb} {shown(str(one))}"


def _is_name(one: Global) -> bool:
    return all(part.isidentifier() for part in str(one).split("."))


def _is_wrapper(value: object) -> bool:
    return isinstance(value, Global) and str(value) == WRAPPER


def _is_plain(dtype: object) -> bool:
    """Whether numpy, having built it, sees objects in it exactly where its letter says so; else what follows is not what it seems."""
    letters = dtype.arg(0) if isinstance(dtype, Made) and dtype.made_by == "numpy.dtype" else None
    return item_bytes(dtype) >= 0 or (isinstance(letters, str) and letters.startswith("O"))
