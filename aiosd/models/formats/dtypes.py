"""The element types of tensors under one spelling each, and how many bits one takes."""

from collections.abc import Iterable

from aiosd.models.reading import StoredTensor, count_elements, shown

BITS = {
    "bool": 8, "uint8": 8, "int8": 8, "uint16": 16, "int16": 16, "uint32": 32, "int32": 32, "uint64": 64, "int64": 64,
    "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64, "complex32": 32, "complex64": 64, "complex128": 128,
    "float8_e4m3fn": 8, "float8_e4m3fnuz": 8, "float8_e5m2": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "float6_e2m3": 6, "float6_e3m2": 6, "float4_e2m1": 4, "uint4": 4, "int4": 4, "uint2": 2, "int2": 2,
}  # fmt: skip

# Of GGUF: elements and bytes of a block.
BLOCKS = {
    "q4_0": (32, 18), "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24), "q8_0": (32, 34), "q8_1": (32, 36),
    "q2_k": (256, 84), "q3_k": (256, 110), "q4_k": (256, 144), "q5_k": (256, 176), "q6_k": (256, 210), "q8_k": (256, 292),
    "iq2_xxs": (256, 66), "iq2_xs": (256, 74), "iq3_xxs": (256, 98), "iq1_s": (256, 50), "iq4_nl": (32, 18), "iq3_s": (256, 110),
    "iq2_s": (256, 82), "iq4_xs": (256, 136), "iq1_m": (256, 56), "tq1_0": (256, 54), "tq2_0": (256, 66), "mxfp4": (32, 17),
}  # fmt: skip

_NEVER_WEIGHTS = {"bool", "uint16", "int16", "uint32", "int32", "uint64", "int64", "string"}  # shapes, indices and counters


def bytes_of(dtype: str, shape: tuple[int, ...], name: str) -> int:
    """How many bytes such a tensor takes, packed without gaps; -1: not known. Raises Malformed for absurd shapes."""
    elements = count_elements(shape, f"tensor {shown(name)}")
    if dtype in BITS:
        return (elements * BITS[dtype] + 7) // 8
    if dtype in BLOCKS:
        per_block, block_bytes = BLOCKS[dtype]
        return elements // per_block * block_bytes
    return -1


def parameters_of(tensors: Iterable[StoredTensor]) -> int:
    """How many elements they have, without those whose type says that they are no weights."""
    return sum(count_elements(one.shape, one.name) for one in tensors if one.dtype not in _NEVER_WEIGHTS)
