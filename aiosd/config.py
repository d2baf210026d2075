"""Every setting of the daemon: its type, default, unit, range and help; nothing is configured anywhere else.

The sections are frozen, and a `Config` exists only when all of it is right: `aiosd/settings_file.py` makes one from TOML
and the environment, and writes it back. A setting marked `reload=True` is taken over by a running daemon at SIGHUP.
"""

from typing import Annotated, Literal

from msgspec import Meta, structs

from aiosd.setting import YEAR_S, Section, number, reloadable, seconds, text, whole

EXABYTE = 1 << 60
PreemptName = Literal["off", "suspend", "checkpoint", "requeue", "cancel"]
RoleName = Literal["viewer", "user", "operator", "admin"]
ADDRESS = r"^([^\s/]+:[0-9]{1,5})?$"


class DaemonConfig(Section, frozen=True, kw_only=True):
    """The daemon itself: where it lives, how it logs, how it stops."""

    state_directory: Annotated[str, text("what must survive a restart: database, job records, outputs; an absolute path")] = "/var/lib/aios"
    runtime_directory: Annotated[str, text("what need not survive a reboot: the socket; an absolute path")] = "/run/aios"
    users: Annotated[Literal["own", "all"], text("whose daemon it is: its own user's (and root's), or every user's of this machine")] = "own"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], text("the least severe message that is logged", reload=True)] = "info"
    log_format: Annotated[Literal["auto", "console", "json"], text("auto: console on a terminal, JSON lines otherwise")] = "auto"
    stop_grace_s: Annotated[float, seconds("how long open calls may take to end when the daemon stops; seconds", 0, 3600, reload=True)] = 5.0


class RpcConfig(Section, frozen=True, kw_only=True):
    """The way in: gRPC over a Unix socket, and over TLS where it is configured."""

    socket_path: Annotated[str, text("the socket; empty: aiosd.sock in the runtime directory")] = ""
    listen: Annotated[str, text("host:port for callers with a bearer token, always with TLS; empty: nothing listens", pattern=ADDRESS)] = ""
    listen_certificates: Annotated[str, text("host:port for callers with a client certificate, always with TLS; empty: nothing listens", pattern=ADDRESS)] = ""
    tls_certificate: Annotated[str, text("file of the server's certificate (PEM); empty: tls/server.pem in the state directory")] = ""
    tls_key: Annotated[str, text("file of the server's private key (PEM); empty: tls/server.key in the state directory")] = ""
    tls_client_authority: Annotated[str, text("file of the certificates that sign those of clients (PEM); empty: tls/ca.pem in the state directory")] = ""
    max_message_bytes: Annotated[int, whole("the largest request or response; bytes", 64 << 10, 1 << 30)] = 64 << 20


class AccessConfig(Section, frozen=True, kw_only=True):
    """Who may do what: roles by Unix groups, and how much one user's calls may take. Root and the daemon's own user are admins."""

    admin_groups: Annotated[tuple[str, ...], text("Unix groups whose members are admins", reload=True)] = ()
    operator_groups: Annotated[tuple[str, ...], text("Unix groups whose members are operators", reload=True)] = ()
    user_groups: Annotated[tuple[str, ...], text("Unix groups whose members are users", reload=True)] = ()
    viewer_groups: Annotated[tuple[str, ...], text("Unix groups whose members are viewers", reload=True)] = ()
    default_role: Annotated[RoleName, text("the role of whoever is in none of these groups", reload=True)] = "user"
    certificate_role: Annotated[RoleName, text("the most that the holder of a client certificate may be")] = "user"
    pass_lifetime_s: Annotated[float, seconds("how long a pass of the credential socket is good; seconds", 1, 24 * 3600)] = 300.0
    calls_per_s: Annotated[float, number("calls of one viewer or user each second, on the average", 0.1, 1e6, reload=True)] = 50.0
    burst: Annotated[int, whole("calls of one viewer or user at once, before they are slowed down", 1, 1_000_000, reload=True)] = 200
    loop_share: Annotated[float, number("the part of the daemon's time that the calls of one may take", 0.01, 1.0, reload=True)] = 0.25
    jobs_per_call: Annotated[int, whole("jobs that one call of a user submits or steers; operators: jobs.max_jobs_per_submit", 1, 1_000_000, reload=True)] = (
        1000
    )
    open_calls: Annotated[int, whole("calls of one that are open at once; watches, waits and followed logs are", 1, 100_000, reload=True)] = 200


class StorageConfig(Section, frozen=True, kw_only=True):
    """The database."""

    url: Annotated[str, text("empty: SQLite in the state directory; or postgresql+psycopg://user@host/database")] = ""


class SchedulerConfig(Section, frozen=True, kw_only=True):
    """Who goes next."""

    policy: Annotated[str, text("fifo, priority or fair; `aiosctl policy set` changes it live, and that lasts", reload=True)] = "fair"
    usage_half_life_s: Annotated[float, seconds("fair: after this time, past use counts half; seconds", 1)] = 7 * 24 * 3600.0
    shares: Annotated[
        dict[str, Annotated[float, Meta(ge=0.001, le=1_000_000)]],
        text("fair: how much of the machine each user is due; everyone else is due 1", reload=True),
    ] = {}
    backfill: Annotated[
        Literal["off", "easy", "conservative"],
        text(
            "who may start while an earlier job waits: off, easy (whoever does not delay the first) or conservative (whoever delays none)",
            reload=True,
        ),
    ] = "easy"
    backfill_order: Annotated[Literal["arrival", "shortest"], text("of those that may: as the policy has them, or the shortest first", reload=True)] = "arrival"
    backfill_depth: Annotated[int, whole("how many waiting jobs of different kinds one pass looks at", 1, 1_000_000, reload=True)] = 1000
    predict: Annotated[bool, text("among jobs of equal priority those that are expected to end soonest go first", reload=True)] = False
    preempt_min_gain_s: Annotated[float, seconds("nobody is preempted for a job that would start within so long anyway; seconds", reload=True)] = 60.0
    preempt_grace_max_s: Annotated[float, seconds("the longest grace of a job that is preempted, whatever it asked for; seconds", reload=True)] = 600.0
    max_starts_per_pass: Annotated[int, whole("jobs started in one pass before new events are looked at", 1, 100_000, reload=True)] = 1000


class PriorityConfig(Section, frozen=True, kw_only=True):
    """The policy priority: what each factor (0 to 1) weighs. A job that has waited for age_max_s goes before all that have not, the oldest first."""

    age: Annotated[float, number("how long it has waited, as a part of age_max_s", 0, 1e9, reload=True)] = 1000.0
    fair_share: Annotated[float, number("how little its user and account have used of what they are due", 0, 1e9, reload=True)] = 1000.0
    size: Annotated[float, number("how much of the machine it asks for", 0, 1e9, reload=True)] = 0.0
    queue: Annotated[float, number("the priority of its queue, beside those of the others", 0, 1e9, reload=True)] = 1000.0
    qos: Annotated[float, number("the priority of its quality of service, beside those of the others", 0, 1e9, reload=True)] = 1000.0
    nice: Annotated[float, number("how nice it is not", 0, 1e9, reload=True)] = 100.0
    explicit: Annotated[float, number("the priority that was asked for it", 0, 1e9, reload=True)] = 10000.0
    age_max_s: Annotated[float, seconds("after which waiting counts in full; seconds", 1, reload=True)] = 7 * 24 * 3600.0
    favor_small: Annotated[bool, text("the factor size is high for jobs that ask for little", reload=True)] = False


class JobsConfig(Section, frozen=True, kw_only=True):
    """What a job gets when it does not ask, and what one may ask for at most."""

    default_cpu_millis: Annotated[int, whole("processors of a job that does not say; thousandths of one", 1, 1_000_000_000, reload=True)] = 1000
    default_queue: Annotated[str, text("the queue of a job that does not say", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", reload=True)] = "default"
    grace_s: Annotated[float, seconds("from SIGTERM to SIGKILL, of a job that does not say; seconds", 0, YEAR_S, reload=True)] = 30.0
    retry_backoff_s: Annotated[float, seconds("the pause before the first retry; it doubles with each; seconds", reload=True)] = 1.0
    retry_backoff_max_s: Annotated[float, seconds("the longest pause before a retry; seconds", reload=True)] = 600.0
    oom_memory_factor: Annotated[
        float, number("after running out of memory, a retry asks for so many times what it had; 1: for the same", 1, 100, reload=True)
    ] = 1.5
    max_array_elements: Annotated[int, whole("elements of one job array", 1, 1_000_000_000, reload=True)] = 10_000_000
    max_command_bytes: Annotated[int, whole("a job's command with its arguments, or its script; bytes", 1024, 64 << 20, reload=True)] = 2 << 20
    max_environment_bytes: Annotated[int, whole("a job's environment; bytes (the kernel allows about 6 MiB with the command)", 1024, 64 << 20, reload=True)] = (
        2 << 20
    )
    max_jobs_per_submit: Annotated[int, whole("jobs in one call", 1, 1_000_000, reload=True)] = 10_000
    max_user_priority: Annotated[
        int, whole("the highest priority that users may ask for, nor may they ask for a nice below 0; operators may", -1_000_000, 1_000_000, reload=True)
    ] = 0
    max_queued: Annotated[int, whole("jobs and arrays that have not ended; half of it for one of many users", 1, 100_000_000, reload=True)] = 2_000_000


class LimitsConfig(Section, frozen=True, kw_only=True):
    """What each user may have at once; 0: no limit. `aiosctl admin user set` gives one user limits of its own, and those last."""

    queued_jobs: Annotated[int, whole("jobs that have not begun, elements of arrays one by one; more are refused", 0, 1_000_000_000, reload=True)] = 0
    running_jobs: Annotated[int, whole("jobs that run at once", 0, 1_000_000, reload=True)] = 0
    cpu_millis: Annotated[int, whole("processors of running jobs; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    memory_bytes: Annotated[int, whole("memory of running jobs; bytes", 0, EXABYTE, reload=True)] = 0
    gpu_millis: Annotated[int, whole("GPUs of running jobs; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    gpu_hours_per_day: Annotated[float, number("GPU hours of the last 24 hours; jobs wait when they are used up", 0, 1_000_000, reload=True)] = 0.0
    model_bytes: Annotated[int, whole("stored models; bytes", 0, EXABYTE, reload=True)] = 0


class QueueConfig(Section, frozen=True, kw_only=True):
    """A queue. `aiosctl queue set` changes one live, and that lasts; what the file says of it counts when it changes."""

    priority: Annotated[int, whole("added to the priority of each of its jobs", -1_000_000, 1_000_000, reload=True)] = 0
    max_running: Annotated[int, whole("jobs that run at once; 0: no limit", 0, 1_000_000, reload=True)] = 0
    default_time_limit_s: Annotated[float, seconds("of a job that does not say; 0: none; seconds", reload=True)] = 0.0
    max_time_limit_s: Annotated[float, seconds("the most a job may ask for; 0: no limit; seconds", reload=True)] = 0.0
    idle_gpus: Annotated[
        Literal["report", "requeue", "cancel"],
        text("a job all of whose GPUs are idle: reported, and requeued or cancelled on demand; set here only", reload=True),
    ] = "report"
    idle_gpus_after_s: Annotated[float, seconds("how long they must be idle for that; 0: resources.gpu_idle_s; seconds", reload=True)] = 0.0
    open: Annotated[bool, text("takes submissions", reload=True)] = True
    started: Annotated[bool, text("starts jobs", reload=True)] = True

    max_queued: Annotated[int, whole("jobs that wait in it, elements one by one; more are refused; 0: no limit", 0, 1_000_000_000, reload=True)] = 0
    cpu_millis: Annotated[int, whole("processors of its running jobs together; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    memory_bytes: Annotated[int, whole("memory of its running jobs together; 0: no limit; bytes", 0, EXABYTE, reload=True)] = 0
    gpu_millis: Annotated[int, whole("GPUs of its running jobs together; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    user_running: Annotated[int, whole("jobs of one user that run in it at once; 0: no limit", 0, 1_000_000, reload=True)] = 0
    user_cpu_millis: Annotated[int, whole("processors of one user's jobs in it; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    user_gpu_millis: Annotated[int, whole("GPUs of one user's jobs in it; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    share_permille: Annotated[int, whole("of each resource of the machine, what its jobs may hold together; 0: all; thousandths", 0, 1000, reload=True)] = 0
    borrow: Annotated[bool, text("its jobs may hold more than its share while nobody else wants it", reload=True)] = False
    allowed_users: Annotated[tuple[str, ...], text('who may use it: names and "@group"; empty: everybody', reload=True)] = ()
    weights: Annotated[dict[str, Annotated[float, Meta(ge=0, le=1e9)]], text("its own weights, where they differ from those of [priority]", reload=True)] = {}
    preempts: Annotated[tuple[str, ...], text("queues whose running jobs its jobs may preempt", reload=True)] = ()
    preempt_mode: Annotated[PreemptName, text("what becomes of its running jobs when they are preempted; off: they are not", reload=True)] = "off"
    preempt_after_s: Annotated[float, seconds("after its start, a job is not preempted for so long; seconds", reload=True)] = 0.0


class QosConfig(Section, frozen=True, kw_only=True):
    """A quality of service, which a job asks for by `--qos NAME`; its limits hold across queues."""

    priority: Annotated[int, whole("beside that of the others; see [priority]", -1_000_000, 1_000_000, reload=True)] = 0
    max_running: Annotated[int, whole("jobs that run at once; 0: no limit", 0, 1_000_000, reload=True)] = 0
    cpu_millis: Annotated[int, whole("processors of its running jobs together; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    memory_bytes: Annotated[int, whole("memory of its running jobs together; 0: no limit; bytes", 0, EXABYTE, reload=True)] = 0
    gpu_millis: Annotated[int, whole("GPUs of its running jobs together; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    user_running: Annotated[int, whole("jobs of one user that run at once; 0: no limit", 0, 1_000_000, reload=True)] = 0
    user_cpu_millis: Annotated[int, whole("processors of one user's jobs; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    user_gpu_millis: Annotated[int, whole("GPUs of one user's jobs; 0: no limit; thousandths of one", 0, 1_000_000_000, reload=True)] = 0
    max_time_limit_s: Annotated[float, seconds("the most a job may ask for; 0: no limit; seconds", reload=True)] = 0.0
    usage_factor: Annotated[float, number("what its jobs use is billed so many times", 0, 1000, reload=True)] = 1.0
    allowed_users: Annotated[tuple[str, ...], text('who may use it: names and "@group"; empty: everybody', reload=True)] = ()
    preempts: Annotated[tuple[str, ...], text("qualities of service whose running jobs its jobs may preempt", reload=True)] = ()
    preempt_mode: Annotated[PreemptName, text("what becomes of its running jobs when they are preempted; off: as the queue says", reload=True)] = "off"
    preempt_after_s: Annotated[float, seconds("after its start, a job is not preempted for so long; seconds", reload=True)] = 0.0


class AccountConfig(Section, frozen=True, kw_only=True):
    """An account that jobs are charged to (`--account NAME`): a node of the tree of shares, which `aiosctl share` shows."""

    parent: Annotated[str, text("the account above; empty: none", reload=True)] = ""
    shares: Annotated[float, number("what it is due beside its siblings", 0, 1_000_000, reload=True)] = 1.0
    users: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1_000_000)]], text("who may charge it, each with its shares; empty: everybody, one share each", reload=True)
    ] = {}


class DeviceConfig(Section, frozen=True, kw_only=True):
    """Accelerators and other countable things that cannot be discovered: give `count`, or `paths` of their device files."""

    kind: Annotated[str, text("what jobs ask for by `--gres KIND=N`", pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    count: Annotated[int, whole("how many; 0: as many as `paths` match", 0, 4096)] = 0
    paths: Annotated[tuple[str, ...], text("device files, absolute; * and ? match, one device a file")] = ()
    model: Annotated[str, text("shown, and asked for by `--gres KIND:MODEL=N`")] = ""
    memory_bytes: Annotated[int, whole("memory of each device; 0: not known; bytes", 0, EXABYTE)] = 0


class ResourcesConfig(Section, frozen=True, kw_only=True):
    """What of this machine jobs may have."""

    cpus_reserved: Annotated[int, whole("logical processors kept back for the system", 0, 100_000)] = 0
    cpu_oversubscription_permille: Annotated[
        int, whole("processors that are given out, of those there are; 1000: each once, 1500: every second one twice; thousandths", 1000, 16_000)
    ] = 1000
    memory_reserve_bytes: Annotated[int, whole("memory kept back for the system; -1: automatic, by the size of the machine; bytes", -1, EXABYTE)] = -1
    disk_reserve_bytes: Annotated[int, whole("of the state directory's disk, kept back; bytes", 0, EXABYTE)] = 1 << 30
    foreign_use: Annotated[
        Literal["avoid", "ignore"], text("a GPU on which a process runs that AIOS did not start: avoid gives it to no job until it is free", reload=True)
    ] = "avoid"
    foreign_graphics_bytes: Annotated[
        int, whole("what only draws (a desktop), or serves the driver, is no foreign use up to this memory; bytes", 0, EXABYTE, reload=True)
    ] = 512 << 20
    gpu_memory_tolerance_permille: Annotated[
        int, whole("how far a job may go beyond its share of a GPU's memory; thousandths of the share", 0, 1_000_000, reload=True)
    ] = 50
    gpu_memory_patience_s: Annotated[
        float, seconds("how long a job is warned before it is stopped, when it uses more of a GPU than its share; seconds", reload=True)
    ] = 10.0
    gpu_idle_s: Annotated[float, seconds("without any use, after which a GPU that a job holds is reported as idle; seconds", 1, reload=True)] = 900.0
    memory_pressure_permille: Annotated[
        int,
        whole("nothing new starts while processes wait for memory for so much of ten seconds (PSI); thousandths of the time, 0: off", 0, 1000, reload=True),
    ] = 200
    memory_available_bytes: Annotated[
        int,
        whole("nothing new starts while less memory is available on the machine; -1: automatic, by its size, 0: off; bytes", -1, EXABYTE, reload=True),
    ] = -1
    rightsize: Annotated[
        Literal["off", "suggest", "apply"],
        text("requests learned from earlier runs of the same user, name and command: not, shown, or applied where the user left them open", reload=True),
    ] = "suggest"
    rightsize_margin_permille: Annotated[int, whole("what is added to what such runs used at most; thousandths of it", 0, 10_000, reload=True)] = 200
    mps: Annotated[
        Literal["off", "auto"],
        text("MPS for jobs that share a GPU; auto: where its control daemon runs in a directory of root or of the daemon's user"),
    ] = "auto"
    mps_directory: Annotated[str, text("the pipe directory of MPS; an absolute path")] = "/tmp/nvidia-mps"  # noqa: S108  # NVIDIA's default
    device: Annotated[tuple[DeviceConfig, ...], text("declared devices, each a [[resources.device]]")] = ()


class IsolationConfig(Section, frozen=True, kw_only=True):
    """How jobs are held to what they were granted."""

    cgroups: Annotated[
        Literal["auto", "v2", "v1", "off"],
        text("control groups: auto takes v2, else v1, else none; jobs without them are measured instead"),
    ] = "auto"
    memory_high_permille: Annotated[
        int, whole("v2: from this part of its memory on a job is slowed down before it is killed at the whole; thousandths, 0: off", 0, 1000)
    ] = 0
    pids_max: Annotated[int, whole("processes and threads of one job; 0: no limit", 0, 4_194_304)] = 16_384
    watchdog_period_s: Annotated[float, seconds("between two looks at the memory of jobs that no kernel limits; 0: none; seconds", 0, 3600, reload=True)] = 1.0
    run_as_user: Annotated[
        Literal["auto", "on", "off"], text("each job under the uid and groups of who submitted it; auto: when a daemon of root serves all users")
    ] = "auto"
    allow_root_jobs: Annotated[bool, text("root may submit jobs, which then run as root", reload=True)] = True
    no_new_privileges: Annotated[bool, text("jobs under their own uid gain nothing from setuid programs: no sudo, no su")] = True
    umask: Annotated[str, text("of a job that does not say; octal", pattern=r"^[0-7]{3,4}$", reload=True)] = "022"
    private_tmp: Annotated[bool, text("every job has a /tmp and a /var/tmp of its own, gone at its end", reload=True)] = False
    disk_watch_s: Annotated[float, seconds("between two looks at how much jobs with --disk have written, where no quota holds them; seconds", 0.1, 3600)] = 10.0


class MonitoringConfig(Section, frozen=True, kw_only=True):
    """How closely running work is looked at. Nothing is sampled while nothing runs."""

    period_s: Annotated[float, seconds("between two samples of the running jobs; seconds", 0.1, 3600, reload=True)] = 5.0
    pressure_period_s: Annotated[float, seconds("between two looks at the pressure on the machine's memory; seconds", 0.1, 60, reload=True)] = 2.0
    gpu_period_s: Annotated[
        float, seconds("between two looks at the GPUs while a job holds one, else five times less often; seconds", 0.1, 10, reload=True)
    ] = 1.0


class SimulationConfig(Section, frozen=True, kw_only=True):
    """What `aiosctl simulate` and `aiosctl forecast` may take: each runs in a process of the lowest priority beside the daemon."""

    memory_bytes: Annotated[int, whole("one simulation; bytes", 256 << 20, 1 << 40)] = 2 << 30
    cpu_s: Annotated[int, whole("processor time of one simulation; seconds", 1, 30 * 86400)] = 3600
    at_once: Annotated[int, whole("simulations at once, one of each user at most; 0: none is run", 0, 64)] = 2
    trace_max_bytes: Annotated[int, whole("the largest trace that is sent; bytes", 1 << 10, 1 << 34)] = 512 << 20


class ModelsConfig(Section, frozen=True, kw_only=True):
    """The store of models and datasets: where the bytes lie, how they are cut, and how long what nobody needs stays."""

    directory: Annotated[str, text("where the bytes lie, in one file system; an absolute path; empty: models in the state directory")] = ""
    cache_bytes: Annotated[int, whole("what checkouts that had to be put together may take; bytes", 0, EXABYTE)] = 100 << 30
    chunk_bytes: Annotated[int, whole("of a chunk that is cut by content, on the average; bytes", 16 << 10, 16 << 20)] = 256 << 10
    piece_bytes: Annotated[int, whole("what large tensors are cut into; bytes", 64 << 10, 16 << 20)] = 1 << 20
    whole_bytes: Annotated[int, whole("from this size on a file may stay whole, so that it can be mapped; bytes", 64 << 10, EXABYTE)] = 1 << 20
    compress: Annotated[bool, text("compress (zstd) what a sample says can be compressed")] = True
    encryption_key_file: Annotated[
        str,
        text("a file with 32 bytes, or 64 hexadecimal digits: what is stored from then on is encrypted (AES-GCM) and never whole; empty: nothing is"),
    ] = ""
    encryption_credential: Annotated[
        str, text("or the name of a systemd credential with such a key: LoadCredential=NAME:FILE or LoadCredentialEncrypted=NAME:FILE in the unit")
    ] = ""
    workers: Annotated[int, whole("registrations, checkouts and checks that run at once, each in a process of its own", 1, 64)] = 2
    upload_bytes: Annotated[int, whole("what one user may have on its way here, uploaded or pushed and not yet registered; bytes", 0, EXABYTE)] = 100 << 30
    upload_keep_s: Annotated[float, seconds("how long it stays when nobody goes on with it; seconds")] = 24 * 3600.0
    gc_grace_s: Annotated[float, seconds("what nobody needs stays for so long, and so does a checkout that nobody asks for; seconds")] = 14 * 24 * 3600.0
    gc_every_s: Annotated[float, seconds("what nothing keeps is removed by itself once in so many seconds; 0: only when `aiosctl model gc` is called")] = (
        24 * 3600.0
    )
    scrub_days: Annotated[float, number("all that is stored is read back and compared once in so many days, little by little; 0: never", 0, 10_000)] = 30.0


class Config(Section, frozen=True, kw_only=True):
    """The whole configuration."""

    daemon: DaemonConfig = DaemonConfig()
    rpc: RpcConfig = RpcConfig()
    access: AccessConfig = AccessConfig()
    storage: StorageConfig = StorageConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    priority: PriorityConfig = PriorityConfig()
    jobs: JobsConfig = JobsConfig()
    limits: LimitsConfig = LimitsConfig()
    queues: dict[str, QueueConfig] = {}
    qos: dict[str, QosConfig] = {}
    accounts: dict[str, AccountConfig] = {}
    resources: ResourcesConfig = ResourcesConfig()
    isolation: IsolationConfig = IsolationConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    simulation: SimulationConfig = SimulationConfig()
    models: ModelsConfig = ModelsConfig()

    @property
    def models_directory(self) -> str:
        return self.models.directory or f"{self.daemon.state_directory}/models"

    @property
    def socket_path(self) -> str:
        return self.rpc.socket_path or f"{self.daemon.runtime_directory}/aiosd.sock"

    @property
    def database_url(self) -> str:
        return self.storage.url or f"sqlite:///{self.daemon.state_directory}/aiosd.db"

    def diff(self, new: "Config") -> tuple[list[str], list[str]]:
        """The settings that differ in `new`, as dotted keys: (those a running daemon takes over, those that need a restart)."""
        applied: list[str] = []
        needs_restart: list[str] = []
        for name in (n for n in self.__struct_fields__ if n not in NAMED):
            for key in _changed(getattr(self, name), getattr(new, name)):
                (applied if reloadable(type(getattr(self, name)), key) else needs_restart).append(f"{name}.{key}")
        for family, kind in NAMED.items():
            mine, others = getattr(self, family), getattr(new, family)
            for name in sorted(mine.keys() | others.keys()):
                changed = _changed(mine.get(name, kind()), others.get(name, kind()))
                came_or_went = [f"{family}.{name}"] if (name in mine) != (name in others) else []
                applied += [f"{family}.{name}.{key}" for key in changed] or came_or_went
        return applied, needs_restart

    def taking_over(self, new: "Config") -> "Config":
        """This configuration with what a running daemon takes over from `new`: what `diff` calls applied."""
        sections = {name: _taking_over(getattr(self, name), getattr(new, name)) for name in self.__struct_fields__ if name not in NAMED}
        return structs.replace(self, **{family: getattr(new, family) for family in NAMED}, **sections)


NAMED: dict[str, type[Section]] = {"queues": QueueConfig, "qos": QosConfig, "accounts": AccountConfig}
"""Families of sections, each section with a name of its own: [queues.NAME]. A running daemon takes all of them over."""


def _changed(before: Section, after: Section) -> list[str]:
    old, new = structs.asdict(before), structs.asdict(after)
    return [key for key in old if old[key] != new[key]]


def _taking_over(old: Section, new: Section) -> Section:
    return structs.replace(old, **{key: getattr(new, key) for key in _changed(old, new) if reloadable(type(old), key)})
