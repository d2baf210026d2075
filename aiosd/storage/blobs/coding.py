"""How a chunk is written: as it is, compressed, or as its difference to another; and encrypted where the store has a key.

A difference is the XOR with the base, its bytes grouped by significance (all lowest bytes of the numbers, then all of the next),
compressed: where weights have moved a little, the upper groups are zeros.

What is too large for memory in a store that has a key is written in frames, each encrypted by itself and bound to its place in the chunk.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiosd.errors import ConfigError, StorageCorrupt

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

RAW, ZSTD, DELTA = "raw", "zstd", "delta"
ENCRYPTED = "+aes"
FRAMES = "frames" + ENCRYPTED
FRAME_BYTES = 4 << 20  # of each but the last, as it reads; part of the format
WIDTHS = (1, 2, 4, 8)  # bytes of a number
PAYS = 0.8  # what is not smaller than this part of the original is kept as it is
_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_SEAL_BYTES = _NONCE_BYTES + _TAG_BYTES
_LEVEL = 1


@dataclass(slots=True)
class Coder:
    """Not for several threads at once. `key`: 32 bytes, or empty for a store that is not encrypted; `random` makes nonces."""

    key: bytes = b""
    random: Callable[[int], bytes] | None = None
    compress: bool = True
    _packer: Any = field(default=None, init=False)
    _unpacker: Any = field(default=None, init=False)
    _cipher: "AESGCM | None" = field(default=None, init=False)

    def encode(self, data: bytes | memoryview, digest: str, base: bytes = b"", width: int = 1, *, squeeze: bool = True) -> tuple[str, bytes | memoryview]:
        """(encoding, payload): the first of difference (with a base), compressed (with `squeeze`) and raw that pays."""
        encoding, payload = RAW, data
        if base and len(base) == len(data):
            packed = bytes((width,)) + self._pack(difference(data, base, width))
            if len(packed) <= PAYS * len(data):
                encoding, payload = DELTA, packed
        if encoding == RAW and squeeze and self.compress and len(data) > 64:
            packed = self._pack(data)
            if len(packed) <= PAYS * len(data):
                encoding, payload = ZSTD, packed
        if self.key:
            return encoding + ENCRYPTED, self._seal(payload, digest)
        return encoding, payload

    def decode(self, encoding: str, payload: bytes, size: int, digest: str, base: bytes = b"") -> bytes:
        """The chunk as it reads; the caller compares its digest. Raises StorageCorrupt for what cannot be decoded."""
        kind, plus, _ = encoding.partition("+")
        if plus:
            payload = self._open(payload, digest)
        if kind == RAW:
            return payload
        try:
            if kind == ZSTD:
                return self._unpack(payload, size)
            if kind == DELTA and payload and payload[0] in WIDTHS and len(base) == size:
                return restored(self._unpack(payload[1:], size), base, payload[0])
        except Exception as error:  # whatever the library says of damaged bytes
            if type(error).__name__ != "ZstdError":
                raise
            raise StorageCorrupt(f"chunk {digest} cannot be decompressed: {error}", digest=digest) from None
        raise StorageCorrupt(f"chunk {digest} cannot be decoded: it says that it is {encoding}", digest=digest)

    def seal_frame(self, data: bytes | memoryview, digest: str, number: int) -> bytes:
        """The frame `number`, from 0, of a chunk in FRAMES."""
        return self._seal(data, digest, number.to_bytes(8, "little"))

    def open_frame(self, payload: bytes, digest: str, number: int) -> bytes:
        """Raises StorageCorrupt."""
        return self._open(payload, digest, number.to_bytes(8, "little"))

    def opens(self, payload: bytes, plain: bytes) -> bool:
        """Whether `payload` is what this key has made of `plain`, under the digest that reads the same."""
        try:
            return self._open(payload, plain.hex()) == plain
        except StorageCorrupt:
            return False

    def ratio(self, data: bytes | memoryview) -> float:
        """What is left of a sample when it is compressed."""
        return len(self._pack(data)) / max(1, len(data))

    def _pack(self, data: bytes | memoryview) -> bytes:
        if self._packer is None:
            import zstandard

            self._packer = zstandard.ZstdCompressor(level=_LEVEL)
        packed: bytes = self._packer.compress(data)
        return packed

    def _unpack(self, data: bytes, size: int) -> bytes:
        """A frame that claims more than the chunk has would be a bomb."""
        if self._unpacker is None:
            import zstandard

            self._unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        import zstandard

        claimed = zstandard.frame_content_size(data)
        if claimed != size:
            raise zstandard.ZstdError(f"it claims {claimed} bytes, not {size}")
        unpacked: bytes = self._unpacker.decompress(data)
        return unpacked

    def _seal(self, payload: bytes | memoryview, digest: str, place: bytes = b"") -> bytes:
        assert self.random is not None
        nonce = self.random(_NONCE_BYTES)
        return nonce + self._aes().encrypt(nonce, bytes(payload), bytes.fromhex(digest) + place)

    def _open(self, payload: bytes, digest: str, place: bytes = b"") -> bytes:
        if not self.key:
            raise StorageCorrupt(f"chunk {digest} is encrypted, and the store has no key", hint="set models.encryption_key_file", digest=digest)
        from cryptography.exceptions import InvalidTag

        try:
            return self._aes().decrypt(payload[:_NONCE_BYTES], payload[_NONCE_BYTES:], bytes.fromhex(digest) + place)
        except (InvalidTag, ValueError):
            raise StorageCorrupt(
                f"chunk {digest} is damaged, or encrypted with another key", hint="is models.encryption_key_file the right one?", digest=digest
            ) from None

    def _aes(self) -> "AESGCM":
        if self._cipher is None:
            try:
                from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            except ImportError:
                raise ConfigError("models.encryption_key_file needs the package `cryptography`", hint="pip install 'aiosd[tls]'") from None
            self._cipher = AESGCM(self.key)
        return self._cipher


def frames_in(size: int) -> int:
    """How many a chunk of `size` bytes has in FRAMES. What claims to be endless must not be listed: sizes come from elsewhere."""
    return -(-size // FRAME_BYTES)


def framed_size(size: int) -> int:
    return size + frames_in(size) * _SEAL_BYTES


def frame_at(size: int, number: int) -> tuple[int, int]:
    """Where a frame of such a chunk lies within it, and how long it is there."""
    return number * (FRAME_BYTES + _SEAL_BYTES), min(FRAME_BYTES, size - number * FRAME_BYTES) + _SEAL_BYTES


def read_key(text: bytes, path: str) -> bytes:
    """The key in a file: 32 bytes, or 64 hexadecimal digits. Raises ConfigError."""
    if len(text) == _KEY_BYTES:
        return text
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except (UnicodeDecodeError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            f"models.encryption_key_file: {path} has no key of 256 bits", hint="make one with: openssl rand -hex 32 >FILE; chmod 600 FILE", path=path
        )
    return key


def difference(data: bytes | memoryview, base: bytes | memoryview, width: int) -> bytes:
    """XOR, grouped by the significance of each byte in numbers of `width` bytes; a rest that fills no number stays at the end."""
    import numpy as np

    mixed = np.bitwise_xor(np.frombuffer(data, np.uint8), np.frombuffer(base, np.uint8))
    if width == 1:
        return mixed.tobytes()
    whole = len(mixed) - len(mixed) % width
    return mixed[:whole].reshape(-1, width).T.tobytes() + mixed[whole:].tobytes()


def restored(grouped: bytes, base: bytes, width: int) -> bytes:
    """What `difference` was made from."""
    import numpy as np

    flat = np.frombuffer(grouped, np.uint8)
    whole = len(flat) - len(flat) % width
    mixed = np.empty(len(flat), np.uint8)
    mixed[:whole] = flat[:whole].reshape(width, -1).T.reshape(-1)
    mixed[whole:] = flat[whole:]
    return np.bitwise_xor(mixed, np.frombuffer(base, np.uint8)).tobytes()
