"""The people of the machine, seen from root: each has a hand (hand.py) that acts in their name."""

import json
import subprocess
import sys
from typing import Any

PROGRAMS = "/in"  # where this tree is mounted in the machine


class Refused(Exception):
    """An order failed in the user's process; `kind` is the class of its error there."""

    def __init__(self, kind: str, text: str, hint: str, trace: str) -> None:
        super().__init__(f"{kind}: {text}" + (f" ({hint})" if hint else "") + f"\n{trace}")
        self.kind = kind
        self.text = text
        self.hint = hint


class User:
    """Made at once, connected at the first order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: subprocess.Popen[str] | None = None

    def say(self, what: str, **names: Any) -> Any:
        """The value of an expression, or None for statements, evaluated in the user's process, where `names` are set. Raises Refused."""
        process = self._hand()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"say": what, "with": names}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the hand of {self.name} ended with {process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"], answer["hint"], answer["trace"])
        return answer["got"]

    def submit(self, command: "list[str] | str", **options: Any) -> str:
        return str(self.say("submit(command, **options)", command=command, options=options))

    def record(self, job: str) -> dict[str, Any]:
        return dict(self.say("record(job)", job=job))

    def wait(self, job: str, timeout: float = 300.0) -> dict[str, Any]:
        return dict(self.say("wait(job, timeout)", job=job, timeout=timeout))

    def run(self, command: "list[str] | str", **options: Any) -> tuple[dict[str, Any], str]:
        """Submit, wait; the record and what it printed."""
        job = self.submit(command, **options)
        return self.wait(job), self.output(job)

    def output(self, job: str) -> str:
        return str(self.say("client.job(job).output()", job=job))

    def cli(self, *words: str, timeout: float = 300.0) -> "subprocess.CompletedProcess[str]":
        """aiosctl in the user's name."""
        return as_user(self.name, ["aiosctl", *words], timeout)

    def leave(self) -> None:
        """Ends the hand; the next order gets a new one, which knows no old daemon."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(60)
            self._process = None

    def _hand(self) -> "subprocess.Popen[str]":
        if self._process is None:
            python = [sys.executable, "-m", "tests.vm.guest.hand"]
            self._process = subprocess.Popen(
                _becoming(self.name, python), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_home(self.name)
            )  # fmt: skip
        return self._process


def as_user(name: str, command: list[str], timeout: float = 300.0) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(_becoming(name, command), text=True, capture_output=True, timeout=timeout, check=False, cwd=_home(name), stdin=subprocess.DEVNULL)


def _becoming(name: str, command: list[str]) -> list[str]:
    own = [f"HOME={_home(name)}", f"USER={name}", f"LOGNAME={name}", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", f"PYTHONPATH={PROGRAMS}"]
    return ["runuser", "-u", name, "--", "env", "-i", *own, *command]


def _home(name: str) -> str:
    return "/root" if name == "root" else f"/home/{name}"
