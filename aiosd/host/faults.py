"""Where a process can be made to die on purpose: `AIOSD_FAULT="step[:n]"` kills it the n-th time it reaches that step."""

import os

STEPS = (
    "launch.1-before-send", "launch.2-sent",
    "spawner.1-received", "spawner.2-forked",
    "shim.1-forked", "shim.2-claimed", "shim.3-spawned", "shim.4-ended", "shim.5-recorded",
    "launch.3-answered",
    "recover.1-before-bar", "recover.2-barred",
    "exit.1-noticed", "forget.1-before-unlink",
)  # fmt: skip
MODEL_STEPS = (
    "register.1-before", "register.2-taken", "register.3-committed",
    "outputs.1-due", "outputs.2-registered", "outputs.3-settled", "outputs.4-told",
    "move.1-before", "move.2-committed",
    "gc.1-versions", "gc.2-manifests", "gc.3-swept",
    "import.1-before", "import.2-received", "import.3-committed",
    "rows.1-some",  # of very many chunks, that came before the transaction of their version
)  # fmt: skip

BLOB_STEPS = (  # of the store of models' bytes, in the daemon (the sweep) and in its children
    "take.1-begun", "take.2-copied", "take.3-written", "take.4-synced", "take.5-half", "take.6-named", "give.1-filled",
    "receive.1-begun", "receive.2-copied", "receive.3-written", "receive.4-synced", "receive.5-half", "receive.6-named",
    "sweep.1-marked", "sweep.2-forgotten", "sweep.3-removed", "sweep.4-rewritten", "sweep.5-moved", "sweep.6-strays",
)  # fmt: skip

VARIABLE = "AIOSD_FAULT"
_KILL = 9  # the `signal` module is too heavy for the spawner, which imports this file too

_armed, _, _nth = os.environ.get(VARIABLE, "").partition(":")
_left = {_armed: int(_nth or 1)}


def reached(step: str) -> None:
    """Nothing, unless the environment names this step: then SIGKILL, at the n-th time."""
    if step == _armed:
        count(step)
        if _left[step] == 0:
            os.kill(os.getpid(), _KILL)


def armed() -> bool:
    """Whether any step is named."""
    return bool(_armed)


def count(prefix: str) -> None:
    """The armed step, if its name begins so, was passed once; the spawner counts thus for the shims it forks."""
    if _armed.startswith(prefix):
        _left[_armed] -= 1
