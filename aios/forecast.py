"""How long jobs will wait: theory, a replay of the past and what was measured, side by side, as records."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figures:
    """Waits as one way has them: `by` "M/M/c" or "G/G/c" (theory), "replay", or "measured". None: they grow without end.

    delayed      the part of the jobs that waits for more than a second
    queue_mean   mean number that waits
    """

    by: str
    wait_mean_s: float | None
    wait_p50_s: float | None
    wait_p95_s: float | None
    delayed: float
    queue_mean: float | None
    utilisation: float


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that theory assumes, and whether the history keeps to it: "holds", "nearly" or "fails"; `sentence` says what that means."""

    assumption: str
    verdict: str
    value: float
    p_value: float
    sentence: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The same with another number of servers or of arrivals. `load`: work that arrives over what can be done."""

    units: float
    arrivals_factor: float
    load: float
    figures: tuple[Figures, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """How many servers a mean wait of `wait_s` takes, by each way; None: more than 64 times what there is, or no number of them."""

    wait_s: float
    arrivals_factor: float
    by: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Forecast:
    """`units` of `resource` ("gpu", "cpu") as they are, `servers` as theory takes them: a job takes `width_mean` units while it runs.

    jobs          that ended and held some of the resource; `selected` of them are of the queue and user that were asked for
    policy        of the replay, with `backfill`
    gap_cv        coefficient of variation of the gaps between arrivals; 1 for Poisson. `run_cv`: of run times; 1 for exponential ones
    """

    resource: str
    units: float
    jobs: int
    selected: int
    span_s: float
    gap_mean_s: float
    gap_cv: float
    run_mean_s: float
    run_cv: float
    width_mean: float
    width_max: float
    servers: float
    load: float
    policy: str
    backfill: str
    checks: tuple[Assumption, ...]
    figures: tuple[Figures, ...]
    what_if: WhatIf | None
    target: Target | None
    notes: tuple[str, ...]


def forecast_of(report: Mapping[str, Any]) -> Forecast:
    """From the daemon's own words; what a newer daemon says beside them is passed over."""
    what_if, target = report["what_if"], report["target"]
    return _record(
        Forecast,
        report,
        checks=tuple(_record(Assumption, one) for one in report["checks"]),
        figures=_figures(report),
        what_if=_record(WhatIf, what_if, figures=_figures(what_if), notes=tuple(what_if["notes"])) if what_if else None,
        target=_record(Target, target) if target else None,
        notes=tuple(report["notes"]),
    )


def _figures(report: Mapping[str, Any]) -> tuple[Figures, ...]:
    return tuple(_record(Figures, one) for one in report["figures"])


def _record(kind: type[T], given: Mapping[str, Any], **made: Any) -> T:
    """One of a dataclass: fields as `made`, the others as given."""
    return kind(**{field.name: made[field.name] if field.name in made else given[field.name] for field in fields(kind)})  # type: ignore[arg-type]
