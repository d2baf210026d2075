"""What the SDK sends to say who calls: fetched once, renewed in time, each process and user its own, and no token in a job."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aios import _credentials
from aios._credentials import Credentials
from aios._requests import captured_environment
from aios._target import answers, parse_target
from aios.errors import Denied, InvalidArgument, Unavailable


@contextmanager
def saying(directory: Path, answer: Callable[[int], bytes]) -> Iterator[Credentials]:
    """A credential socket that gives the n-th caller `answer(n)`."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "aiosd.cred"))
    listener.listen(16)

    def serve() -> None:
        number = 0
        while True:
            connection, _ = listener.accept()
            with connection:
                said = answer(number)
                if said == b"stop":
                    return
                connection.sendall(said)
            number += 1

    thread = threading.Thread(target=serve)
    thread.start()
    credentials = Credentials(parse_target(str(directory / "aiosd.sock")))
    try:
        yield credentials
    finally:
        answer = lambda _: b"stop"  # noqa: E731
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(directory / "aiosd.cred"))
        thread.join(30)
        listener.close()


def passes(number: int, lifetime_s: float = 300.0) -> bytes:
    return json.dumps({"pass": f"pass-{number}", "lifetime_s": lifetime_s}).encode()


def bearer(number: int) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer pass-{number}"),)


def test_a_pass_is_fetched_once_and_again_when_it_was_refused_or_must_be_fresh(tmp_path: Path) -> None:
    with saying(tmp_path, passes) as credentials:
        assert credentials.metadata() == credentials.metadata() == bearer(0)
        credentials.forget()
        assert credentials.metadata() == bearer(1)
        assert credentials.metadata(fresh=True) == bearer(2)
        assert credentials.metadata() == bearer(2)


def test_a_line_of_callers_that_is_full_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "aiosd.cred")
    line: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        while not line or line[-1].connect_ex(path) == 0:
            line.append(socket.socket(socket.AF_UNIX))
            line[-1].setblocking(False)
        assert answers(path)

        def serve() -> None:
            for _ in line:  # all but the last, who found it full; and the one who waits
                with listener.accept()[0] as connection, suppress(OSError):
                    connection.sendall(passes(7))

        timer = threading.Timer(0.2, serve)
        timer.daemon = True
        timer.start()
        try:
            assert Credentials(parse_target(str(tmp_path / "aiosd.sock"))).metadata() == bearer(7)
        finally:
            for each in line:
                each.close()
            timer.join(30)


def test_it_is_renewed_before_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(_credentials.time, "monotonic", lambda: now_s[0])
    with saying(tmp_path, passes) as credentials:
        assert credentials.metadata() == bearer(0)
        now_s[0] += 239.0
        assert credentials.metadata() == bearer(0)
        now_s[0] += 2.0
        assert credentials.metadata() == bearer(1)


def test_a_process_that_becomes_another_user_does_not_go_on_as_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(tmp_path, passes) as credentials:
        assert credentials.metadata() == bearer(0)
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
        assert credentials.metadata() == bearer(1)


def test_without_a_socket_nothing_is_sent(tmp_path: Path) -> None:
    assert Credentials(parse_target(str(tmp_path / "aiosd.sock"))).metadata() == ()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "aiosd.cred"))
    assert Credentials(parse_target(str(tmp_path / "aiosd.sock"))).metadata() == ()


def test_a_daemon_that_says_no_is_heard(tmp_path: Path) -> None:
    with saying(tmp_path, lambda _: b'{"error": "this is the daemon of user ada"}') as credentials, pytest.raises(Denied, match="of user ada") as caught:
        credentials.metadata()
    assert caught.value.hint


@pytest.mark.parametrize("said", [b"", b"nonsense", b"[]", b'{"pass": 1}', b"\xff\xfe"])
def test_what_is_no_pass_is_not_sent(tmp_path: Path, said: bytes) -> None:
    with saying(tmp_path, lambda _: said) as credentials, pytest.raises(Unavailable, match="is no pass"):
        credentials.metadata()


def test_over_the_network_the_token_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = parse_target("gpu1:9443")
    assert Credentials(target).metadata() == ()
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("AIOS_TOKEN_FILE", str(tmp_path / "token"))
    assert Credentials(target).metadata() == (("authorization", "Bearer from-file"),)
    monkeypatch.setenv("AIOS_TOKEN", "from-environment")
    assert Credentials(target).metadata() == (("authorization", "Bearer from-environment"),)
    monkeypatch.delenv("AIOS_TOKEN")
    monkeypatch.setenv("AIOS_TOKEN_FILE", str(tmp_path / "missing"))
    with pytest.raises(InvalidArgument, match="AIOS_TOKEN_FILE names"):
        Credentials(target).metadata()


def test_a_token_does_not_travel_with_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TOKEN", "secret")
    assert "AIOS_TOKEN" not in captured_environment()


def test_files_of_tls_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TLS_CA", "/nowhere/ca.pem")
    with pytest.raises(InvalidArgument, match=r"AIOS_TLS_CA names /nowhere/ca\.pem"):
        _credentials.tls_credentials()
