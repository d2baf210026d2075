"""What must hold between settings, and the forms that a type cannot express."""

from collections.abc import Iterator

from aiosd.config import Config, DeviceConfig

SOCKET_PATH_BYTES = 107  # sun_path in the kernel's sockaddr_un, less its final NUL
DATABASES = ("sqlite:", "postgresql:", "postgresql+psycopg:")
TAKEN_KINDS = ("cpu", "memory", "disk")


def contradictions(config: Config) -> list[str]:
    """Every rule that is broken, each as one sentence with the keys and the values; empty when all is well."""
    return [*_places(config), *_network(config), *_storage(config), *_jobs(config), *_queues(config), *_devices(config)]


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
