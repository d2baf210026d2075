"""How far the machine keeps jobs within what they were granted, resource by resource."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Isolation:
    """`state` is "enforced by …", "watched" or "not enforced"; `detail` says why, where it is not enforced."""

    resource: str
    state: str
    detail: str = ""
