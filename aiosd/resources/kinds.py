"""Whether a device is of the model that somebody asked for."""

_BLANKS = " -_"


def plain(name: str) -> str:
    """A model's name as it is compared: `NVIDIA A100-SXM4` and `a100 sxm4` have the same letters."""
    return "".join(letter for letter in name.lower() if letter not in _BLANKS)


def is_model(wanted: str, model: str) -> bool:
    """Whether `wanted` is a part of the model's name, in any case, with or without blanks and dashes; "" is of every model.

    A number is not cut in two: `a10` is no part of `A100`, nor `l4` of `L40S`.
    """
    word, name = plain(wanted), plain(model)
    if not word:
        return True
    at = name.find(word)
    if at < 0:
        return False
    edges = _edges(model)
    while at >= 0:
        if not _cuts_number(name, at, edges) and not _cuts_number(name, at + len(word), edges):
            return True
        at = name.find(word, at + 1)
    return False


def _edges(model: str) -> set[int]:
    """Where in the plain name a word of the model's name begins."""
    edges, length = set(), 0
    for word in model.replace("-", " ").replace("_", " ").split(" "):
        edges.add(length)
        length += len(word)
    return edges


def _cuts_number(name: str, at: int, edges: set[int]) -> bool:
    return 0 < at < len(name) and at not in edges and name[at - 1].isdigit() and name[at].isdigit()
