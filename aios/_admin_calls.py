"""The calls of the client that look after the daemon's state."""

import os
from typing import TYPE_CHECKING

from aios._calls import Calls

if TYPE_CHECKING:
    from aios.admin import Backup, CheckResult

LONG_S = 3600.0  # what a backup or a check of a long history may take


class AdminCalls(Calls):
    """The calls of `aios.Client` that look after the daemon's state."""

    def backup(self, path: "str | os.PathLike[str]", *, models: bool = True, timeout: float | None = LONG_S) -> "Backup":
        """Have the daemon back itself up, while everything goes on, into a new file on its machine; an absolute path.

        The bytes of models and datasets go into a directory beside it, PATH.models, which shares its files with those of other backups there.

        Raises AlreadyExists, FailedPrecondition (another is under way; the database is PostgreSQL), StorageCorrupt, DiskFull.
        """
        from aios.admin import Backup
        from aios.v1 import admin_pb2 as pb

        request = pb.BackupRequest(path=os.fspath(path), without_models=not models)
        done = self._channel.unary("Admin/Backup", request, pb.BackupResponse, timeout, repeatable=False)
        return Backup(done.path, done.bytes, done.jobs, done.took_s, done.sha256, done.models_bytes, done.models_new_bytes, done.models_lost)

    def check(self, *, repair: bool = False, timeout: float | None = LONG_S) -> "CheckResult":
        """Have the daemon check its state; with `repair`, do something about what can be repaired while it runs."""
        from aios.admin import CheckResult, Finding
        from aios.v1 import admin_pb2 as pb

        answer = self._channel.unary("Admin/Check", pb.CheckRequest(repair=repair), pb.CheckResponse, timeout, repeatable=not repair)
        return CheckResult(tuple(Finding(f.subject, f.problem, f.repaired, f.action) for f in answer.findings), answer.checked)
