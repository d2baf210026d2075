"""Files put in place and taken away again, as a list of steps that can be told before they are done; each may be done twice."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from aiosctl.failures import Refused


@dataclass(frozen=True, slots=True)
class Put:
    """A file with this text. `keep`: one that is there already stays as it is, because it is the administrator's."""

    path: Path
    text: str
    keep: bool = False

    def __str__(self) -> str:
        if not self.path.exists():
            return f"write {self.path}"
        if self.keep:
            return f"keep {self.path}, which is there"
        return f"{self.path} is up to date" if _read(self.path) == self.text else f"replace {self.path}"

    def perform(self) -> None:
        """By a rename, so that nobody ever reads half of it."""
        if _read(self.path) == self.text or (self.keep and self.path.exists()):
            return
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        partial.write_text(self.text, encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(self.path)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, as `systemctl enable` makes them."""

    path: Path
    target: str

    def __str__(self) -> str:
        return f"{self.path} is up to date" if self._is_there() else f"link {self.path} to {self.target}"

    def _is_there(self) -> bool:
        return self.path.is_symlink() and os.readlink(self.path) == self.target

    def perform(self) -> None:
        if not self._is_there():
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(self.target)


@dataclass(frozen=True, slots=True)
class TakeAway:
    """Remove a file or a link. With a `digest`, only a file that still is what was put there: what was changed is somebody's work."""

    path: Path
    digest: str = ""

    def __str__(self) -> str:
        if not self._is_there():
            return f"{self.path} is gone already"
        return f"remove {self.path}" if self._is_ours() else f"keep {self.path}, which was changed since it was installed; remove it yourself"

    def _is_there(self) -> bool:
        return self.path.exists() or self.path.is_symlink()

    def _is_ours(self) -> bool:
        return not self.digest or (not self.path.is_symlink() and digest_of(self.path.read_text(encoding="utf-8", errors="replace")) == self.digest)

    def perform(self) -> None:
        if self._is_there() and self._is_ours():
            self.path.unlink()


@dataclass(frozen=True, slots=True)
class TakeTree:
    """Remove a directory with all that is in it."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path} and all that is in it" if self.path.exists() else f"{self.path} is gone already"

    def perform(self) -> None:
        if self.path.exists():
            shutil.rmtree(self.path)


@dataclass(frozen=True, slots=True)
class TakeEmpty:
    """Remove a directory when nothing is in it."""

    path: Path

    def __str__(self) -> str:
        if not self.path.exists():
            return f"{self.path} is gone already"
        return f"keep {self.path}, which is in use" if any(self.path.iterdir()) else f"remove {self.path}"

    def perform(self) -> None:
        if self.path.exists() and not any(self.path.iterdir()):
            self.path.rmdir()


@dataclass(frozen=True, slots=True)
class Call:
    """Run a program. One that is `optional` may fail, or be missing: that is said, and the rest is done."""

    command: tuple[str, ...]
    optional: bool = False

    def __str__(self) -> str:
        return f"run {' '.join(self.command)}"

    def perform(self) -> None:
        try:
            done = subprocess.run(self.command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            problem = f"there is no program {self.command[0]}"
        else:
            if done.returncode == 0:
                return
            problem = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        if not self.optional:
            raise Refused(f"`{' '.join(self.command)}` failed: {problem}", "put that right, then run the same command again: what is done is not done twice")
        print(f"  it did not work, and is not needed: {problem}")


Step = Put | Link | TakeAway | TakeTree | TakeEmpty | Call


def perform(steps: Iterable[Step], *, dry_run: bool, say: Callable[[str], None] = print) -> None:
    """Tell each step, and do it unless this is only to say what would be done."""
    for step in steps:
        told = str(step)
        say(f"would {told}" if dry_run and not told.startswith(("/", "keep")) else told)
        if not dry_run:
            try:
                step.perform()
            except OSError as error:
                raise Refused(f"could not {step}: {error.strerror or error}", "mend that, then run the same command again") from None


def digest_of(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def record_of(puts: Sequence[Put], root: Path) -> str:
    """What was put where below `root`, as `sha256sum` writes it, so that exactly that can be taken away again."""
    return "".join(f"{digest_of(put.text)}  /{put.path.relative_to(root)}\n" for put in puts)


def recorded(record: Path, root: Path) -> Iterator[TakeAway]:
    """How to take away what a record names."""
    for line in (_read(record) or "").splitlines():
        digest, _, path = line.partition("  ")
        yield TakeAway(root / path.lstrip("/"), digest)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return None
