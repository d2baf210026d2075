"""Keys and certificates: private from the first moment, never overwritten unasked, and root's name stands for nobody."""

import stat
import sys
from pathlib import Path

import pytest

from aiosd.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from aiosd.host import certificates
from aiosd.host.certificates import make_authority, make_client, make_server


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_everything_is_the_owners_only(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "tls"
    made = [*make_authority(directory, ["gpu1", "10.0.0.1"]), *make_client(directory, "ada")]
    assert sorted(content(directory)) == ["ca.key", "ca.pem", "clients/ada.key", "clients/ada.pem", "server.key", "server.pem"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    make_authority(tmp_path, ["gpu1"])
    make_client(tmp_path, "ada")
    before = content(tmp_path)
    for again in (lambda: make_authority(tmp_path, ["gpu1"]), lambda: make_server(tmp_path, ["gpu1"]), lambda: make_client(tmp_path, "ada")):
        with pytest.raises(AlreadyExists, match="already there") as caught:
            again()
        assert "--force" in caught.value.hint
    assert content(tmp_path) == before
    make_server(tmp_path, ["gpu2"], force=True)
    after = content(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"server.key", "server.pem"}
    make_authority(tmp_path, ["gpu2"], force=True)
    assert content(tmp_path)["ca.pem"] != before["ca.pem"]


def test_certificates_say_what_they_are_for(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    make_authority(tmp_path, ["gpu1", "::1"])
    make_client(tmp_path, "ada", 30)
    authority, server, client = (x509.load_pem_x509_certificate((tmp_path / name).read_bytes()) for name in ("ca.pem", "server.pem", "clients/ada.pem"))
    for leaf, purpose in ((server, ExtendedKeyUsageOID.SERVER_AUTH), (client, ExtendedKeyUsageOID.CLIENT_AUTH)):
        leaf.verify_directly_issued_by(authority)
        assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gpu1"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["::1"]
    assert [name.value for name in client.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["ada"]
    assert 29 <= (client.not_valid_after_utc - client.not_valid_before_utc).days <= 30


@pytest.mark.parametrize(("user", "days"), [("root", 1), ("", 1), ("a/b", 1), ("../x", 1), ("a b", 1), ("-f", 1), ("a\n", 1), ("ada", 0), ("ada", 10**9)])
def test_what_no_certificate_is_made_for(tmp_path: Path, user: str, days: int) -> None:
    make_authority(tmp_path, ["gpu1"])
    before = content(tmp_path)
    with pytest.raises(InvalidArgument) as caught:
        make_client(tmp_path, user, days)
    assert caught.value.hint
    assert content(tmp_path) == before


def test_without_an_authority_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no authority") as caught:
        make_client(tmp_path, "ada")
    assert "admin tls init" in caught.value.hint
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "ca.key").write_text("no key")
    with pytest.raises(FailedPrecondition, match="cannot be used"):
        make_client(tmp_path, "ada")


def test_a_missing_library_is_said_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(FailedPrecondition, match="cryptography is needed") as caught:
        make_authority(tmp_path, ["gpu1"])
    assert "aiosd[tls]" in caught.value.hint
    assert content(tmp_path) == {}


@pytest.mark.parametrize("hosts", [[], ["x" * 70], ["a..b"]])
def test_hosts_that_are_none_are_refused(tmp_path: Path, hosts: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        make_authority(tmp_path, hosts)
    assert content(tmp_path) == {}


def test_this_machine_knows_its_names() -> None:
    assert {"localhost", "127.0.0.1"} <= set(certificates.own_hosts())
