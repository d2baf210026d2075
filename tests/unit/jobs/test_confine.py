"""What is refused of secrets, umask and process limits, and that no refusal says a secret."""

import pytest

from aiosd.errors import InvalidArgument
from aiosd.jobs.confine import MOST_SECRET_BYTES, MOST_SECRETS, check_limits, check_secrets, check_umask
from aiosd.jobs.job import ProcessLimit


def test_names_come_back_in_order() -> None:
    assert check_secrets({"b.pem": b"", "A_1": b"x"}) == ("A_1", "b.pem")


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "-x", ".hidden", "a b", "a\n", "\0", "é", "x" * 101])
def test_a_name_that_is_not_fit_to_be_a_files_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_secrets({name: b"hush"})
    assert "hush" not in f"{caught.value} {caught.value.facts} {caught.value.hint}"


@pytest.mark.parametrize("secrets", [{f"s{n}": b"" for n in range(MOST_SECRETS + 1)}, {"a": b"x" * MOST_SECRET_BYTES, "b": b"x"}])
def test_too_much_is_refused(secrets: dict[str, bytes]) -> None:
    with pytest.raises(InvalidArgument, match="at most"):
        check_secrets(secrets)


@pytest.mark.parametrize("umask", [-1, 0o1000])
def test_a_umask_out_of_range_is_refused(umask: int) -> None:
    with pytest.raises(InvalidArgument, match="umask"):
        check_umask(umask)


def test_limits_come_back_as_records() -> None:
    assert check_limits([("nofile", 64, 128), ("core", 0, -1), ("stack", -1, -1)]) == (
        ProcessLimit("nofile", 64, 128), ProcessLimit("core", 0, -1), ProcessLimit("stack", -1, -1),
    )  # fmt: skip


@pytest.mark.parametrize(
    "limits",
    [[("files", 1, 1)], [("nofile", 2, 1)], [("nofile", -1, 1)], [("nofile", -2, -1)], [("nofile", 1, 1 << 63)], [("core", 0, 0), ("core", 1, 1)]],
)
def test_limits_that_cannot_be_are_refused(limits: list[tuple[str, int, int]]) -> None:
    with pytest.raises(InvalidArgument, match=limits[0][0]):
        check_limits(limits)
