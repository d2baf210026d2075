"""What theory says of a system of equal servers in the long run: M/M/c, and M/G/c and G/G/c by the Allen-Cunneen approximation."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, exp, inf, log
from typing import Generic, TypeVar

from aiosd.errors import InvalidArgument

MOST_SERVERS = 1_000_000
_LARGEST = 1e18  # seconds, erlangs, squared coefficients of variation: more is a mistake of whoever asks

N = TypeVar("N", float, Fraction)
"""Every formula holds for floats and, exactly, for rationals; only what needs a logarithm is for floats alone."""


@dataclass(frozen=True, slots=True)
class System(Generic[N]):
    """Customers that come one by one, wait in one line in the order of arrival, and take one of the servers.

    servers        c >= 1. May be broken: `c = capacity / mean width` for jobs that take several units at once
    arrival_rate   customers a second, >= 0
    service_mean   seconds, >= 0
    arrival_scv    squared coefficient of variation of the gaps between arrivals; 1: Poisson ("M")
    service_scv    the same of service times; 1: exponential ("M"), 0: all equal ("D")
    raises         InvalidArgument for NaN, what is negative, infinite or absurd
    """

    servers: int | N
    arrival_rate: N
    service_mean: N
    arrival_scv: N | int = 1
    service_scv: N | int = 1

    def __post_init__(self) -> None:
        _check_servers(self.servers)
        for name in ("arrival_rate", "service_mean", "arrival_scv", "service_scv"):
            _check(name.replace("_", " "), getattr(self, name))
        _check("offered load", self.arrival_rate * self.service_mean)

    @property
    def is_markovian(self) -> bool:
        """M/M/c, of which what follows is exact; of others it is an approximation."""
        return self.arrival_scv == 1 and self.service_scv == 1

    @property
    def offered(self) -> N:
        """Erlangs: the servers that would be busy on average if there were enough of them."""
        return self.arrival_rate * self.service_mean


@dataclass(frozen=True, slots=True)
class Steady(Generic[N]):
    """A system in the long run; all that grows without end is `inf`. Seconds where the system has seconds.

    load           offered load over servers; 1 or more: it is not stable
    utilisation    mean fraction of the servers that is busy
    delayed        probability that a customer has to wait
    queue_mean     mean number of those that wait
    """

    load: N
    utilisation: N
    delayed: N
    wait_mean: N | float
    queue_mean: N | float


def erlang_b(servers: int | N, offered: N) -> N:
    """Probability that all servers are busy where nobody waits (M/G/c/c, "blocking").

    B(0, a) = 1,  B(k, a) = a B(k-1, a) / (k + a B(k-1, a)).
    Source: A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
    exchanges", 1917; the recursion in R. B. Cooper, "Introduction to Queueing Theory", 2nd ed. 1981, ch. 3, and
    V. B. Iversen, "Teletraffic Engineering and Network Planning", ch. "Erlang's loss system", which also has the start for broken numbers.
    """
    _check_servers(servers)
    _check("offered load", offered)
    whole = int(servers)
    blocking = _broken(servers - whole, offered)
    for k in range(1, whole + 1):
        blocking = offered * blocking / (servers - whole + k + offered * blocking)
    return blocking


def erlang_c(servers: int | N, offered: N) -> N:
    """Probability that a customer of M/M/c has to wait; 1 where the system is not stable.

    C = B / (1 - rho (1 - B)) with rho = a / c.
    Source: L. Kleinrock, "Queueing Systems I", 1975, section 3.5, with the relation of C to B from Cooper 1981, ch. 3.
    """
    blocking = erlang_b(servers, offered)
    if offered >= servers:
        return blocking * 0 + 1
    load = offered / servers
    return blocking / (1 - load * (1 - blocking))


def steady(system: System[N]) -> Steady[N]:
    """What the system comes to.

    Wq(M/M/c) = C s / (c - a);  Wq(G/G/c) ~ Wq(M/M/c) (ca^2 + cs^2) / 2;  Lq = lambda Wq.
    Sources: Kleinrock 1975, section 3.5 (M/M/c); A. O. Allen, "Probability, Statistics, and Queueing Theory", 2nd ed. 1990,
    ch. 5 (Allen-Cunneen; exact for M/M/c and for M/G/1, where it is Pollaczek-Khinchine's formula);
    J. D. C. Little, "A proof for the queuing formula L = lambda W", Operations Research 9, 1961.
    """
    offered, delayed = system.offered, erlang_c(system.servers, system.offered)
    load = offered / system.servers
    if load >= 1:
        return Steady(load, load / load, delayed, inf, inf)
    wait = delayed * system.service_mean / (system.servers - offered) * (system.arrival_scv + system.service_scv) / 2
    return Steady(load, load, delayed, wait, system.arrival_rate * wait)


def wait_tail(system: System[float], wait_s: float) -> float:
    """Probability that a customer waits longer than `wait_s`: P(W > t) = C e^(-C t / Wq).

    For M/M/c it is exact, since C / Wq = (c - a) / s (Cooper 1981, ch. 3). For others an approximation: in heavy traffic
    waits tend to be exponential (J. F. C. Kingman, "On queues in heavy traffic", J. Royal Statistical Society B 24, 1962).
    """
    _check("wait", wait_s)
    found = steady(system)
    if found.wait_mean == inf:
        return 1.0
    if found.wait_mean <= 0:
        return 0.0
    return found.delayed * exp(-found.delayed * wait_s / found.wait_mean)


def wait_quantile(system: System[float], part: float) -> float:
    """The wait in seconds that `part` of the customers, in [0, 1), do not exceed: `wait_tail` the other way round."""
    if not 0 <= part < 1:
        raise InvalidArgument(f"a quantile must be at least 0 and less than 1, not {part}")
    found = steady(system)
    if found.wait_mean == inf:
        return inf
    if found.delayed <= 1 - part:
        return 0.0
    return found.wait_mean / found.delayed * log(found.delayed / (1 - part))


def smallest(enough: Callable[[int], bool], least: int = 1, most: int = MOST_SERVERS, guess: int = 0) -> int | None:
    """The smallest number from `least` to `most` that is enough, where more never is worse; None: not even `most` is.

    It asks about 2 log2(|answer - guess|) times; without a guess from `least` on, so that small numbers, which are the cheap ones, come first.
    """
    low = min(max(least, guess), most)
    if enough(low):
        return least + bisect_left(range(least, low), True, key=enough)
    step = max(1, guess // 8)
    while low < most:
        low, high = low + 1, min(most, low + step)
        if enough(high):
            return low + bisect_left(range(low, high), True, key=enough)
        low, step = high, 2 * step
    return None


def servers_for(system: System[float], target_wait_s: float, units: float = 1.0) -> int | None:
    """How many servers it takes for a mean wait of at most `target_wait_s` > 0; None: over MOST_SERVERS.

    units   > 0: counted are units of which a server takes so many (GPUs that a job takes on average)
    """
    _check("target wait", target_wait_s)
    _check("units of a server", units)
    if target_wait_s == 0 or units == 0:
        raise InvalidArgument("a target wait, and the units of a server, must be more than zero", hint="by chance somebody always waits a little")
    least, most = max(1, ceil(units), int(system.offered * units)), int(MOST_SERVERS * min(1.0, units))
    return smallest(lambda count: steady(replace(system, servers=count / units)).wait_mean <= target_wait_s, least, most) if least <= most else None


def _broken(part: int | N, offered: N) -> N:
    """Erlang B of a broken number of servers in [0, 1], by Rapp's parabola (exact at both ends).

    Source: Y. Rapp, "Planning of junction network in a multi-exchange area", Ericsson Technics 20, 1964, as in Iversen's handbook.
    """
    if part == 0:
        return offered * 0 + 1
    curve = (1 + offered) * (1 + offered) + offered
    return 1 - part * (offered + 2) / curve + part * part / ((1 + offered) * curve)


def _check_servers(servers: float | Fraction) -> None:
    if isinstance(servers, bool) or not 1 <= servers <= MOST_SERVERS:
        raise InvalidArgument(f"servers must be a number from 1 to {MOST_SERVERS}, not {servers}")


def _check(what: str, given: float | Fraction) -> None:
    if not 0 <= given <= _LARGEST:  # which NaN is not either
        raise InvalidArgument(f"{what} must be a number from 0 to {_LARGEST:g}, not {given}")
