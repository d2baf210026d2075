"""What models are found by: the words of their names, of what is said of them, and of their tensors; and how well a word fits.

Both databases are given words that were made here, each with a letter before it that says where it stood, and are asked for the same:
so they find the same, and nothing that a user types is ever read as a query.
"""

import fnmatch
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from aiosd.errors import InvalidArgument
from aiosd.models.model import Model
from aiosd.models.version import Commit

MOST_TERMS = 20  # words of one question
MOST_NAMES_BYTES = 4 << 20  # of the names of a version's tensors, before they are compressed
_MOST_BYTES, _MOST_WORDS = 256 << 10, 20_000  # that one entry is found by; PostgreSQL keeps at most 1 MiB
_LONGEST = 64  # letters of a word that count
_NAME, _ABOUT, _SAID, OF_TENSORS = "n", "d", "s", "t"
_WORD = re.compile(r"[^\W_]+|[^\x00-\x7f\w\s]")


class Level(NamedTuple):
    """How a word may fit: where it stands, and whether it is the whole word."""

    mark: str
    whole: bool


LEVELS = (Level(_NAME, True), Level(_NAME, False), Level(_ABOUT, False), Level(_SAID, False), Level(OF_TENSORS, False))  # the best first


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and each symbol (such as an emoji) by itself; case and accents do not count. Each once."""
    plain = text.lower() if text.isascii() else _folded(text)
    found = dict.fromkeys(word[:_LONGEST] for word in dict.fromkeys(_WORD.findall(plain)))
    return [word for word in found if word[0].isalnum() or unicodedata.category(word)[0] == "S"]


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def terms(text: str) -> list[str]:
    """The words of a question; what they are the beginning of is found. Raises InvalidArgument for more than MOST_TERMS."""
    found = words_of(text)
    if len(found) > MOST_TERMS:
        raise InvalidArgument(
            f"the text to search for has {len(found)} words, and {MOST_TERMS} are allowed", hint="leave the common ones out", field="text", given=len(found)
        )  # fmt: skip
    return found


def entry_of_model(model: Model) -> str:
    return _entry([(_NAME, [model.name]), (_ABOUT, [model.description])])


def entry_of_version(commit: Commit) -> str:
    """Labels first: of a long card not all may count."""
    labels = [text for pair in commit.labels.items() for text in pair]
    return _entry([(_SAID, [*labels, *commit.metrics, commit.message, commit.licence, commit.schema.format, commit.schema.framework, commit.card])])


def entry_of_tensors(names: Iterable[str]) -> str:
    return _entry([(OF_TENSORS, ["\n".join(names)])])


def _entry(parts: Sequence[tuple[str, Iterable[str]]]) -> str:
    """Words with their marks, each once, as many as one entry may have."""
    found: dict[str, None] = {}
    left = _MOST_BYTES
    for word in (mark + word for mark, texts in parts for text in texts for word in words_of(text)):
        if word in found:
            continue
        left -= len(word.encode()) + 1
        if left < 0 or len(found) >= _MOST_WORDS:
            break
        found[word] = None
    return " ".join(found)


def kept_names(names: Sequence[str]) -> Sequence[str]:
    """Of the names of tensors the first, as many as MOST_NAMES_BYTES take, each on a line of its own."""
    kept, left = [], MOST_NAMES_BYTES
    for name in names:
        left -= len(name.encode()) + 1
        if left < 0:
            break
        kept.append(" ".join(name.splitlines()))
    return kept


def tensor_matcher(pattern: str) -> Callable[[Iterable[str]], bool]:
    """Whether any of some names is like the pattern, in which * and ? stand for anything: "encoder.*.weight"."""
    fits = re.compile(fnmatch.translate(pattern)).match
    return lambda names: any(map(fits, names))
