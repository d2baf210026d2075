"""What is done when a turn has been remembered: processes are started and told, secrets dropped, the log told what an operator should know."""

from collections.abc import Sequence

import structlog

from aiosd.jobs.actions import Action, End, Forget, Launch, PolicyFailed, PolicyRestored, Resize, Signal, Warn
from aiosd.jobs.ports import Evidence, Launcher
from aiosd.jobs.secrets_service import Secrets

log = structlog.get_logger("jobs")


def perform(actions: Sequence[Action], launcher: Launcher, secrets: Secrets, evidence: Evidence | None) -> None:
    """Returns at once; what comes of it returns as events."""
    for action in actions:
        match action:
            case Launch(job):
                launcher.launch(job)
            case Signal(job, signal, scope):
                launcher.signal(job, signal, scope)
            case Resize(job):
                launcher.resize(job)
            case Forget(job):
                launcher.forget(job)
            case Warn(job, text):
                log.warning("job", job=str(job.id), attempt=job.attempt, warning=text)
            case PolicyFailed() | PolicyRestored():
                _tell_of_policy(action, evidence)
            case End(job):
                secrets.ended(job)
                if job.spec.notify_command and not job.id.is_element:
                    launcher.notify(job)


def _tell_of_policy(news: PolicyFailed | PolicyRestored, evidence: Evidence | None) -> None:
    """A policy that could not be followed is a bug: the log says so, and the snapshot lets whoever mends it provoke it."""
    if isinstance(news, PolicyRestored):
        log.info("policy is followed again", policy=news.policy)
        return
    fault = news.fault
    kept = evidence.keep(f"policy-{fault.policy}-{int(fault.at_s)}.json", news.snapshot) if evidence is not None and news.snapshot else None
    log.error("policy failed; fifo stands in", policy=fault.policy, what=fault.what, again_in_s=fault.pause_s, snapshot=kept)
