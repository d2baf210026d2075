"""Names of models: letters count, numbers are not cut in two."""

import pytest

from aiosd.resources.kinds import is_model


@pytest.mark.parametrize(
    ("wanted", "model"),
    [
        ("", "anything"),
        ("", ""),
        ("a100", "NVIDIA A100-SXM4-40GB"),
        ("A100 SXM4", "NVIDIA A100-SXM4-40GB"),
        ("a100_sxm4", "NVIDIA A100-SXM4-40GB"),
        ("40gb", "NVIDIA A100-SXM4-40GB"),
        ("t4", "Tesla T4"),
        ("v100", "Tesla V100S-PCIE-32GB"),
        ("1080", "GeForce GTX 1080 8GB"),
        ("gtx1080", "GeForce GTX 1080 8GB"),
        ("3g.20gb", "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
        ("10", "A100 10GB"),
    ],
)
def test_a_part_of_a_name_is_of_that_model(wanted: str, model: str) -> None:
    assert is_model(wanted, model)


@pytest.mark.parametrize(
    ("wanted", "model"),
    [("a10", "NVIDIA A100-SXM4-40GB"), ("l4", "NVIDIA L40S"), ("00", "A100"), ("0gb", "A100-40GB"), ("h100", "A100"), ("a100", ""), ("3g.2", "MIG 3g.20gb")],
)
def test_a_part_of_a_number_is_not(wanted: str, model: str) -> None:
    assert not is_model(wanted, model)
