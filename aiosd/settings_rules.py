"""What must hold between settings, and the forms that a type cannot express."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import inf

from aiosd.config import Config, DeviceConfig, PriorityConfig, QosConfig, QueueConfig

SOCKET_PATH_BYTES = 107  # sun_path in the kernel's sockaddr_un, less its final NUL
DATABASES = ("sqlite:", "postgresql:", "postgresql+psycopg:")
TAKEN_KINDS = ("cpu", "memory", "disk")
MOST_LEVELS = 64  # of accounts below accounts
WEIGHTS = tuple(name for name in PriorityConfig.__struct_fields__ if name not in ("age_max_s", "favor_small"))


def contradictions(config: Config) -> list[str]:
    """Every rule that is broken, each as one sentence with the keys and the values; empty when all is well."""
    parts = (_places, _network, _storage, _jobs, _queues, _preemption, _accounts, _users, _devices)
    return [problem for part in parts for problem in part(config)]


def _places(config: Config) -> Iterator[str]:
    paths = {"daemon.state_directory": config.daemon.state_directory, "daemon.runtime_directory": config.daemon.runtime_directory}
    paths["resources.mps_directory"] = config.resources.mps_directory
    if config.rpc.socket_path:
        paths["rpc.socket_path"] = config.rpc.socket_path
    for key in ("directory", "encryption_key_file"):
        if getattr(config.models, key):
            paths[f"models.{key}"] = getattr(config.models, key)
    for key, path in paths.items():
        if not path.startswith("/") or "\0" in path:
            yield f"{key} = {path!r} is not allowed: it must be an absolute path"
    if len(config.socket_path.encode()) > SOCKET_PATH_BYTES:
        yield (
            f"the socket's path {config.socket_path!r} is longer than the {SOCKET_PATH_BYTES} bytes that the kernel allows: "
            "set a shorter rpc.socket_path or daemon.runtime_directory"
        )


def _network(config: Config) -> Iterator[str]:
    rpc = config.rpc
    for key in ("listen", "listen_certificates"):
        port = getattr(rpc, key).rpartition(":")[2]
        if port and not 0 < int(port) < 65536:
            yield f"rpc.{key} = {getattr(rpc, key)!r} is not allowed: a port is a number from 1 to 65535"
    if rpc.listen and rpc.listen == rpc.listen_certificates:
        yield f"rpc.listen and rpc.listen_certificates are both {rpc.listen!r}: a port takes tokens or certificates, not both"
    for key in ("tls_certificate", "tls_key", "tls_client_authority"):
        if getattr(rpc, key) and not getattr(rpc, key).startswith("/"):
            yield f"rpc.{key} = {getattr(rpc, key)!r} is not allowed: it must be an absolute path"


def _storage(config: Config) -> Iterator[str]:
    scheme = config.storage.url.partition("//")[0]  # the rest may hold a password
    if config.storage.url and scheme not in DATABASES:
        yield f"storage.url begins with {scheme!r}, which is not allowed: it must be empty, sqlite:///FILE or postgresql+psycopg://user@host/database"


def _jobs(config: Config) -> Iterator[str]:
    jobs = config.jobs
    if jobs.retry_backoff_s > jobs.retry_backoff_max_s:
        yield f"jobs.retry_backoff_s = {jobs.retry_backoff_s:g} is more than jobs.retry_backoff_max_s = {jobs.retry_backoff_max_s:g}"
    if jobs.default_queue != "default" and jobs.default_queue not in config.queues:
        yield f"jobs.default_queue = {jobs.default_queue!r} names a queue that is not there: add a section [queues.{jobs.default_queue}]"


def _queues(config: Config) -> Iterator[str]:
    for name, queue in config.queues.items():
        if 0 < queue.max_time_limit_s < queue.default_time_limit_s:
            yield (
                f"queues.{name}.default_time_limit_s = {queue.default_time_limit_s:g} is more than queues.{name}.max_time_limit_s = {queue.max_time_limit_s:g}"
            )
        for weight in queue.weights:
            if weight not in WEIGHTS:
                yield f"queues.{name}.weights.{weight} is not known: weights are {', '.join(WEIGHTS)}"
        for other in queue.preempts:
            if other != "default" and other not in config.queues:
                yield f"queues.{name}.preempts names a queue that is not there, {other!r}: add a section [queues.{other}]"
    for name, qos in config.qos.items():
        for other in qos.preempts:
            if other not in config.qos:
                yield f"qos.{name}.preempts names a quality of service that is not there, {other!r}: add a section [qos.{other}]"


def _preemption(config: Config) -> Iterator[str]:
    """Whoever is preempted is known, and nobody in a circle: such would not preempt one another (see scheduling/rights.py)."""
    yield from _preempts("queues", config.queues, {"default", *config.queues})
    yield from _preempts("qos", config.qos, config.qos)


def _preempts(family: str, sections: Mapping[str, QueueConfig] | Mapping[str, QosConfig], known: Collection[str]) -> Iterator[str]:
    below = {name: section.preempts for name, section in sections.items()}
    for name, others in below.items():
        for other in others:
            if other not in known:
                yield f"{family}.{name}.preempts names {other!r}, which is not there: add a section [{family}.{other}]"
        if name in _reached(name, below):
            yield f"{family}.{name}.preempts comes back to {name!r}, at once or by what those preempt: they would not preempt one another"


def _accounts(config: Config) -> Iterator[str]:
    accounts = config.accounts
    above = {name: (account.parent,) for name, account in accounts.items() if account.parent}
    for name, (parent,) in above.items():
        reached = _reached(name, above, MOST_LEVELS)
        if parent not in accounts:
            yield f"accounts.{name}.parent = {parent!r} names an account that is not there: add a section [accounts.{parent}]"
        elif name in reached:
            yield f"accounts.{name} is below itself, by its parent {parent!r}"
        elif len(reached) == MOST_LEVELS:
            yield f"accounts.{name} has too many accounts above it: at most {MOST_LEVELS - 1} may be"


def _reached(name: str, leads_to: Mapping[str, Sequence[str]], most: float = inf) -> set[str]:
    """All that one comes to from `name`, or the first `most`; itself among them where there is a circle."""
    found: set[str] = set()
    todo = [name]
    while todo and len(found) < most:
        new = [other for other in leads_to.get(todo.pop(), ()) if other not in found]
        found.update(new)
        todo += new
    return found


def _users(config: Config) -> Iterator[str]:
    """Names of users and groups are such that somebody can have them."""
    lists = {f"{family}.{name}.allowed_users": s.allowed_users for family in ("queues", "qos") for name, s in getattr(config, family).items()}
    lists |= {f"accounts.{name}.users": tuple(account.users) for name, account in config.accounts.items()}
    for key, names in lists.items():
        for name in names:
            if not name.removeprefix("@") or not name.isprintable():
                yield f"{key} has {name!r}, which is nobody's name"


def _devices(config: Config) -> Iterator[str]:
    for at, device in enumerate(config.resources.device):
        yield from (f"resources.device[{at}] ({device.kind}) {problem}" for problem in _device(device))


def _device(device: DeviceConfig) -> Iterator[str]:
    if device.kind in TAKEN_KINDS:
        yield f"has a kind that is taken: {', '.join(TAKEN_KINDS)} are resources of their own"
    if bool(device.count) == bool(device.paths):
        yield "must have either a count or paths"
    for path in device.paths:
        if not path.startswith("/"):
            yield f"has a path {path!r} that is not absolute"
