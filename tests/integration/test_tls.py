"""Over the network: always TLS, tokens on one port and client certificates on the other, and nobody is root by a name."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

import aios
from aios import errors
from aiosd.access.passes import Bearer, Passes
from aiosd.access.person import Person
from aiosd.access.principal import Principal, Role
from aiosd.errors import ConfigError
from aiosd.host.certificates import make_authority, make_client
from aiosd.rpc.auth import Gate
from aiosd.rpc.identity import Callers
from aiosd.rpc.server import Listening, RpcServer, SecurePort
from tests.fakes.model_world import ModelWorld
from tests.fakes.rpc_world import World, servicers_of

KEY = b"k" * 32


class Machine:
    """Users ada (1000) and root; the token "aios_good" is ada's."""

    def remembered(self, uid: int) -> Person | None:
        return self.person(uid, uid)

    def person(self, uid: int, gid: int) -> Person:
        return Person(uid, gid, {0: "root", 1000: "ada"}.get(uid, str(uid)), frozenset())

    def named(self, name: str) -> Person | None:
        return {"ada": self.person(1000, 1000), "root": self.person(0, 0)}.get(name)

    def role_of(self, uid: int, gid: int, name: str) -> Role:
        return Role.OPERATOR

    def token(self, secret: str) -> Principal | None:
        return Principal(1000, 1000, "ada", Role.USER, "token ci") if secret == "aios_good" else None

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        return None


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    make_authority(directory, ["localhost", "127.0.0.1"])
    make_client(directory, "ada")
    make_client(directory, "eve")
    return directory


def port(tls: Path, address: str = "127.0.0.1:0", *, ask: bool = False) -> SecurePort:
    authority = (tls / "ca.pem").read_bytes() if ask else None
    return SecurePort(address=address, key=(tls / "server.key").read_bytes(), certificate=(tls / "server.pem").read_bytes(), client_authority=authority)


def with_ports(directory: Path, tls: Path, talk: Callable[[int, int], None], serving: World | None = None) -> None:
    """`talk` runs in a thread, as an SDK's caller does; it gets the ports for tokens and for certificates."""

    async def main() -> None:
        machine, world = Machine(), serving or World()
        callers = Callers(Passes(KEY, 60.0), machine, machine, machine.person(os.getuid(), 0), everyone=True)
        listening = Listening(socket_path=str(directory / "s"), secure=(port(tls), port(tls, ask=True)))
        server = RpcServer(servicers_of(world), listening, Gate(callers))
        await server.start()
        try:
            async with asyncio.timeout(60):
                await asyncio.to_thread(talk, *server.ports)
        finally:
            await server.stop(0.0)

    asyncio.run(main())


def test_a_token_over_tls_is_its_user(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TLS_CA", str(tls / "ca.pem"))

    def talk(tokens: int, certificates: int) -> None:
        monkeypatch.setenv("AIOS_TOKEN", "aios_good")
        with aios.Client(f"127.0.0.1:{tokens}", timeout=20) as client:
            assert client.job("42").id == "42"
            assert client.credential() == "aios_good"
            with pytest.raises(errors.Denied, match=r"ada may not stop \(Node\.Stop\)"):
                client.stop_daemon()
        monkeypatch.delenv("AIOS_TOKEN")
        for content, said in (("aios_wrong", "not known here"), ("", "no credential came")):
            (tmp_path / "token").write_text(content)
            monkeypatch.setenv("AIOS_TOKEN_FILE", str(tmp_path / "token"))
            with aios.Client(f"localhost:{tokens}", timeout=20) as client:
                with pytest.raises(errors.Unauthenticated, match=said) as caught:
                    client.job("42")
                assert "token create" in caught.value.hint
                (tmp_path / "token").write_text("aios_good\n")  # replaced under a client that lives
                assert client.job("42").id == "42"

    with_ports(tmp_path, tls, talk)


def test_a_model_goes_to_a_machine_elsewhere_and_comes_back(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the target says decides: over a host and port bytes are sent, and fetched into the cache."""
    monkeypatch.setenv("AIOS_TLS_CA", str(tls / "ca.pem"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "m.bin").write_bytes(b"weights" * 1000)

    def talk(tokens: int, certificates: int) -> None:
        with aios.Client(f"127.0.0.1:{tokens}", timeout=20, token="aios_good") as client:
            made = client.models.register("digits", tmp_path / "m.bin")
            assert (made.author, made.size) == ("ada", 7000)
            path = Path(client.models.checkout("digits"))
            assert path.read_bytes() == b"weights" * 1000
            assert path.is_relative_to(tmp_path / "cache")
            assert client.models.register("digits", tmp_path / "m.bin").existed
            with pytest.raises(errors.InvalidArgument, match="a process of this machine"), (tmp_path / "m.bin").open("rb") as file:
                client.models.register("digits", file, upload=False)
        assert not [file for file in (tmp_path / "staged").rglob("*") if file.is_file()]

    with_ports(tmp_path, tls, talk, World(models=ModelWorld(tmp_path)))


def test_a_pass_of_this_machine_is_worth_nothing_over_the_network(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TLS_CA", str(tls / "ca.pem"))
    monkeypatch.setenv("AIOS_TOKEN", Passes(KEY, 1e6).make(Bearer(0, 0, 1), 1e9))

    def talk(tokens: int, certificates: int) -> None:
        with aios.Client(f"127.0.0.1:{tokens}", timeout=20) as client, pytest.raises(errors.Unauthenticated):
            client.job("42")

    with_ports(tmp_path, tls, talk)


def test_nothing_is_served_in_the_clear_nor_to_who_trusts_another_authority(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    make_authority(other, ["127.0.0.1"])
    monkeypatch.setenv("AIOS_TLS_CA", str(other / "ca.pem"))
    monkeypatch.setenv("AIOS_TOKEN", "aios_good")

    def talk(tokens: int, certificates: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{tokens}") as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/aios.v1.Jobs/Get")(b"", timeout=5.0)
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        with aios.Client(f"127.0.0.1:{tokens}", timeout=2) as client, pytest.raises(errors.AiosError) as refused:
            client.job("42")
        assert isinstance(refused.value, errors.Unavailable | errors.Timeout)

    with_ports(tmp_path, tls, talk)


def test_a_certificate_is_its_user(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_TLS_CA", str(tls / "ca.pem"))

    def show(name: str) -> None:
        monkeypatch.setenv("AIOS_TLS_CERT", str(tls / "clients" / f"{name}.pem"))
        monkeypatch.setenv("AIOS_TLS_KEY", str(tls / "clients" / f"{name}.key"))

    def talk(tokens: int, certificates: int) -> None:
        show("ada")
        with aios.Client(f"127.0.0.1:{certificates}", timeout=20) as client:
            assert client.job("42").id == "42"
            with pytest.raises(errors.Denied, match=r"ada may not drain \(Node\.Drain\): that takes the role operator, and ada has the role user"):
                client.drain()  # she is an operator on the machine itself, and a certificate is a user at most
        show("eve")
        with aios.Client(f"127.0.0.1:{certificates}", timeout=20) as client, pytest.raises(errors.Unauthenticated, match="'eve', who is not a user"):
            client.job("42")
        monkeypatch.delenv("AIOS_TLS_KEY")
        with aios.Client(f"127.0.0.1:{certificates}", timeout=2) as client, pytest.raises(errors.InvalidArgument, match="go together"):
            client.job("42")
        monkeypatch.delenv("AIOS_TLS_CERT")
        with aios.Client(f"127.0.0.1:{certificates}", timeout=2) as client, pytest.raises(errors.AiosError) as refused:
            client.job("42")  # none at all: the handshake fails
        assert isinstance(refused.value, errors.Unavailable | errors.Timeout)

    with_ports(tmp_path, tls, talk)


def test_a_certificate_of_root_or_of_another_authority_is_refused(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours makes none for root; somebody else's tools may."""
    from aiosd.host import certificates as made

    monkeypatch.setattr(made, "USER_NAME", made.re.compile(".*"))
    authority, key = made._authority(tls)
    from cryptography.x509.oid import ExtendedKeyUsageOID

    for issuer, name in (((authority, key), "root"), (None, "ada")):
        own_key = made._new_key()
        certificate = made._certificate(name, own_key, issuer, 10, made._of_leaf(ExtendedKeyUsageOID.CLIENT_AUTH))
        (tmp_path / "c.pem").write_bytes(made._pem(certificate))
        (tmp_path / "c.key").write_bytes(made._key_pem(own_key))
        monkeypatch.setenv("AIOS_TLS_CA", str(tls / "ca.pem"))
        monkeypatch.setenv("AIOS_TLS_CERT", str(tmp_path / "c.pem"))
        monkeypatch.setenv("AIOS_TLS_KEY", str(tmp_path / "c.key"))

        def talk(tokens: int, certificates: int, name: str = name) -> None:
            with aios.Client(f"127.0.0.1:{certificates}", timeout=20 if name == "root" else 2) as client, pytest.raises(errors.AiosError) as refused:
                client.job("42")
            if name == "root":
                assert isinstance(refused.value, errors.Denied)
                assert "cannot stand for root" in str(refused.value)
            else:
                assert isinstance(refused.value, errors.Unavailable | errors.Timeout)

        with_ports(tmp_path, tls, talk)


def test_what_is_wrong_with_files_or_addresses_is_said(tmp_path: Path, tls: Path) -> None:
    async def start(secure: SecurePort) -> None:
        server = RpcServer(servicers_of(World()), Listening(socket_path=str(tmp_path / "s"), secure=(secure,)), Gate(Callers(*[None] * 4)))  # type: ignore[arg-type]
        await server.start()

    with pytest.raises(ConfigError, match="cannot listen on 256\\.1\\.1\\.1:1"):
        asyncio.run(start(port(tls, "256.1.1.1:1")))
    broken = SecurePort(address="127.0.0.1:0", key=b"no key", certificate=(tls / "server.pem").read_bytes())
    with pytest.raises(ConfigError, match="cannot listen on 127") as caught:
        asyncio.run(start(broken))
    assert "rpc.tls_key" in caught.value.hint
    assert not (tmp_path / "s").exists()
