"""`aios.models` and `aios.datasets`: the calls of a default client, the same for both."""

import inspect
from types import ModuleType
from typing import Any

import pytest

import aios
from aios import datasets, models
from aios._model_calls import ModelCalls, StoreCalls
from aios.v1 import models_pb2 as pb

OTHER_NAMES = {"models": "search", "datasets": "search", "model": "get", "dataset": "get", "versions": "log"}
OF_JOBS = {"optimize", "register_outputs"}


def functions(module: ModuleType) -> dict[str, Any]:
    """By the name of their method."""
    own = {name: value for name, value in vars(module).items() if inspect.isfunction(value) and not name.startswith("_")}
    return {OTHER_NAMES.get(name, name): value for name, value in own.items() if name not in ("calling", "default_client")}


def methods(calls: type) -> set[str]:
    return {name for name, value in inspect.getmembers(calls, inspect.isfunction) if not name.startswith("_")}


def test_every_call_is_a_function_of_both_modules_but_for_what_jobs_do_to_models() -> None:
    assert set(functions(models)) == methods(ModelCalls)
    assert set(functions(datasets)) == methods(StoreCalls) == methods(ModelCalls) - OF_JOBS
    assert all(function.__doc__ for module in (models, datasets) for function in functions(module).values())


def test_help_and_notebooks_see_what_a_function_takes() -> None:
    for module, calls in ((models, ModelCalls), (datasets, StoreCalls)):
        for name, function in functions(module).items():
            _, *takes = inspect.signature(getattr(calls, name)).parameters
            assert list(inspect.signature(function).parameters) == takes


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tags": "v1"}, "tags is the text 'v1'"),
        ({"parents": "digits:prod"}, "parents is the text 'digits:prod'"),
        ({"labels": {"epochs": 3}}, "the label 'epochs' is 3"),
        ({"labels": "team=vision"}, "labels are 'team=vision'"),
        ({"metrics": {"accuracy": "high"}}, "metrics are {'accuracy': 'high'}"),
        ({"metrics": [0.97]}, r"metrics are \[0.97\]"),
    ],
)
def test_what_would_be_taken_for_something_else_is_refused_here(given: dict[str, Any], said: str) -> None:
    with aios.Client("unix:/nowhere") as client, pytest.raises(aios.errors.InvalidArgument, match=said) as raised:
        client.models.register("digits", "model.onnx", **given)
    assert raised.value.hint.startswith("give ")


@pytest.mark.parametrize(("module", "kind"), [(models, pb.MODEL), (datasets, pb.DATASET)])
def test_a_function_asks_the_default_client_about_its_kind(module: ModuleType, kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    client, asked = aios.Client("unix:/nowhere"), list[Any]()

    def unary(method: str, request: Any, answer: Any, timeout: float | None) -> Any:
        asked.append((method, request.ref, request.kind, request.listing))
        return answer()

    monkeypatch.setattr(client._channel, "unary", unary)
    monkeypatch.setattr(module, "default_client", lambda: client)
    module.version("digits:prod", listing=True)
    assert asked == [("Models/GetVersion", "digits:prod", kind, True)]
