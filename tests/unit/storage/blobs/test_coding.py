"""How chunks are written: whatever goes in comes out, and nothing else is taken for it."""

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import ConfigError, StorageCorrupt
from aiosd.storage.blobs.coding import DELTA, RAW, WIDTHS, ZSTD, Coder, difference, read_key, restored

DIGEST = "ab" * 32
KEY = bytes(range(32))


@given(st.binary(max_size=300), st.sampled_from(WIDTHS), st.randoms())
def test_a_difference_gives_back_what_it_was_made_from(data: bytes, width: int, chance: random.Random) -> None:
    base = chance.randbytes(len(data))
    assert restored(difference(data, base, width), base, width) == data


def test_the_upper_bytes_of_near_numbers_are_together_and_zero() -> None:
    grouped = difference(bytes([1, 9, 9, 9] * 4), bytes([2, 9, 9, 9] * 4), 4)
    assert grouped == bytes([3] * 4 + [0] * 12)


@pytest.mark.parametrize("key", [b"", KEY])
def test_each_encoding_is_taken_where_it_pays(key: bytes) -> None:
    coder, chance, end = Coder(key, os.urandom), random.Random(1).randbytes(5000), "+aes" if key else ""
    text, near = b"again and again " * 400, bytes([chance[0] ^ 1]) + chance[1:]
    for data, base, expected in ((chance, b"", RAW), (text, b"", ZSTD), (near, chance, DELTA), (text, chance, ZSTD)):
        encoding, payload = coder.encode(data, DIGEST, base, 4)
        assert encoding == expected + end
        assert coder.decode(encoding, bytes(payload), len(data), DIGEST, base) == data
    assert coder.encode(text, DIGEST, squeeze=False)[0] == RAW + end
    assert Coder(compress=False).encode(text, DIGEST)[0] == RAW


def test_what_is_encrypted_does_not_show_and_is_bound_to_its_name() -> None:
    encoding, payload = Coder(KEY, os.urandom).encode(b"secret" * 10, DIGEST, squeeze=False)
    assert b"secret" not in bytes(payload)
    assert Coder(KEY, os.urandom).encode(b"secret" * 10, DIGEST, squeeze=False)[1] != payload
    for coder, digest, reason in ((Coder(), DIGEST, "no key"), (Coder(bytes(32)), DIGEST, "another key"), (Coder(KEY), "cd" * 32, "another key")):
        with pytest.raises(StorageCorrupt, match=reason):
            coder.decode(encoding, bytes(payload), 60, digest)


@given(st.sampled_from([ZSTD, DELTA, "delta+aes", "zstd+aes", "other"]), st.binary(max_size=100))
def test_damaged_bytes_are_refused(encoding: str, payload: bytes) -> None:
    with pytest.raises(StorageCorrupt):
        Coder(KEY).decode(encoding, payload, 1000, DIGEST, bytes(1000))


def test_a_frame_that_claims_more_than_its_chunk_is_refused() -> None:
    bomb = bytes(Coder().encode(bytes(50_000_000), DIGEST)[1])
    with pytest.raises(StorageCorrupt, match="claims 50000000 bytes, not 1000"):
        Coder().decode(ZSTD, bomb, 1000, DIGEST)


@pytest.mark.parametrize("text", [KEY, KEY.hex().encode(), f"{KEY.hex().upper()}\n".encode()])
def test_a_key_is_32_bytes_or_their_digits(text: bytes) -> None:
    assert read_key(text, "/key") == KEY


@pytest.mark.parametrize("text", [b"", b"short", b"z" * 64, b"\xff" * 64, KEY + b"\n"])
def test_what_is_no_key_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigError, match="has no key of 256 bits"):
        read_key(text, "/key")
