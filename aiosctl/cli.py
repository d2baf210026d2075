"""The root command: which verbs there are, where each lives, and what it is in one line."""

import click

from aiosctl.lazy import Nouns, target_option

COMMANDS = {
    "run": ("aiosctl.run:run", "Run a command as a job: its output, its exit status"),
    "submit": ("aiosctl.submit:submit", "Submit a batch script or a command; print its id"),
    "ps": ("aiosctl.jobs:ps", "List jobs"),
    "show": ("aiosctl.show:show", "Show all about a job"),
    "logs": ("aiosctl.logs:logs", "Print what a job printed"),
    "wait": ("aiosctl.wait:wait", "Wait until jobs have ended; return their status"),
    "why": ("aiosctl.why:why", "Why a job waits, who is ahead, what would help"),
    "stats": ("aiosctl.stats:stats", "What a job uses over time, against what it asked for"),
    "attach": ("aiosctl.attach:attach", "Open a terminal beside a running job"),
    "cancel": ("aiosctl.steer:cancel", "End jobs: SIGTERM, a grace period, SIGKILL"),
    "hold": ("aiosctl.steer:hold", "Keep waiting jobs from starting"),
    "release": ("aiosctl.steer:release", "Let held jobs start"),
    "suspend": ("aiosctl.steer:suspend", "Stop the processes of running jobs for a while"),
    "resume": ("aiosctl.steer:resume", "Continue suspended jobs"),
    "requeue": ("aiosctl.steer:requeue", "Put running jobs back into the queue"),
    "update": ("aiosctl.update:update", "Change what a job asks for"),
    "top": ("aiosctl.top:top", "The whole machine, live"),
    "events": ("aiosctl.events:events", "Every change of a job, as it happens"),
    "node": ("aiosctl.node:node", "The machine: inventory, health, isolation; drain, resume"),
    "queue": ("aiosctl.queues:queue", "Queues: ls, show, set"),
    "qos": ("aiosctl.qos:qos", "Qualities of service that jobs can ask for: ls, show"),
    "schedule": ("aiosctl.schedule:schedule", "What the scheduler sees, does and adjusts, in five steps"),
    "policy": ("aiosctl.policy:policy", "The order in which jobs go: show, set"),
    "share": ("aiosctl.share:share", "Accounts and users: what they are due, have used, and who goes first"),
    "simulate": ("aiosctl.simulate:simulate", "What would have been: another policy, machine or load"),
    "forecast": ("aiosctl.forecast:forecast", "How long jobs will wait: theory, replay, measured; what if"),
    "model": ("aiosctl.model:model", "Models under version control: register, log, diff, checkout, rollback"),
    "data": ("aiosctl.model:data", "Datasets, kept as models are"),
    "daemon": ("aiosctl.daemon:daemon", "The daemon: start, stop, status, logs, reload, install"),
    "admin": ("aiosctl.admin:admin", "Users, tokens, audit trail, keys for the network; backup, restore, check"),
    "completion": ("aiosctl.completion:completion", "Print the completion script of a shell"),
    "whoami": ("aiosctl.whoami:whoami", "Whom the daemon takes you for, and your role"),
    "version": ("aiosctl.version:version", "The version of aiosctl, and of the daemon"),
}
SECTIONS = {"run": "Work", "cancel": "Steer", "top": "The machine", "model": "Models", "daemon": "Upkeep"}


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from aiosctl.version import client_version

        print(f"aiosctl {client_version()}")
        ctx.exit()


@click.group(
    cls=Nouns,
    table=COMMANDS,
    sections=SECTIONS,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 the request failed, 2 wrong usage, 3 not found, 4 denied, 5 daemon unreachable; "
    "run, wait and logs --exit-status give the job's own.",
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version and exit.")
def root() -> None:
    """Run work on this machine, in a fair order, and see what becomes of it.

    The first call starts a daemon of your own when there is none. Try: aiosctl run -- echo hello
    """


root.params.append(target_option())
