"""`admin tls`: what it says of what it made."""

from pathlib import Path

import pytest

from aiosd import tls_command
from aiosd.config import Config


@pytest.mark.parametrize(("user", "warned"), [("no-such-user", True), ("nobody", False)])
def test_a_certificate_for_nobody_of_this_machine_is_made_with_a_warning(tmp_path: Path, user: str, warned: bool) -> None:
    pytest.importorskip("cryptography", reason="keys are made by cryptography")
    for words in (["init", "--host", "gpu1"], ["client", user]):
        said = tls_command.perform(tls_command.parser().parse_args(["--directory", str(tmp_path / "tls"), *words]), Config())
    assert (tmp_path / "tls" / "clients" / f"{user}.pem").is_file()
    assert any(line.startswith("warning: this machine has no user") for line in said) is warned
