"""TorchScript is told from a checkpoint by its code, whose `forward` gives the inputs."""

import io

import numpy as np

from aiosd.models.formats import pytorch
from aiosd.models.reading import Contents, Region
from aiosd.models.version import Tensor
from tests.unit.models.formats import frameworks


def read(data: bytes) -> Contents:
    return pytorch.read(Region(io.BytesIO(data)))


def test_its_code_says_what_it_takes_and_gives() -> None:
    found = read(frameworks.torch_script())
    schema = found.schema
    assert (schema.format, schema.tensors, schema.parameters) == ("torchscript", 2, 4)
    assert schema.inputs == (Tensor("x", "tensor"), Tensor("sizes", "Dict[str, int]"))
    assert schema.outputs == (Tensor("output", "tensor"),)
    assert schema.metadata == {"class": "net.Net"}
    assert [one.name for one in found.tensors] == ["weight", "constants.0"]


def test_without_the_code_of_its_class_it_says_so() -> None:
    net = frameworks.SCRIPT()
    arrays = {"0": np.ones(1, np.float32)}
    net.weight = frameworks.Stored("0", arrays["0"])
    no_code = read(frameworks.torch_zip(net, arrays, {"code/other.py": b""}))
    assert no_code.schema.notes == ("its inputs are not known: the code of its class is not in the archive",)
    no_forward = read(frameworks.torch_zip(net, arrays, {"code/__torch__/net.py": b"class Net(Module):\n  pass\n"}))
    assert no_forward.schema.notes == ("its inputs are not known: its class has no method `forward`",)
    assert no_forward.schema.parameters == 1
