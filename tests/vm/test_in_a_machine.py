"""What is checked inside of booted machines: one machine a module of tests/vm/guest, one test a check."""

import pytest

from tests.vm.guest.checks import checks_of
from tests.vm.session import TIME_S, TITLES, Session

BUILD_S = 1800.0
CHECKS = [(module, check.name) for module in TITLES for check in checks_of(module)]

pytestmark = pytest.mark.timeout(TIME_S + BUILD_S)


@pytest.mark.parametrize(("module", "name"), CHECKS, ids=[f"{module}-{name}" for module, name in CHECKS])
def test_it_is_held(vm: Session, request: pytest.FixtureRequest, module: str, name: str) -> None:
    """The first of a module boots its machine, which runs all checks of the module that were selected."""
    chosen = [item.callspec.params["name"] for item in request.session.items if _is_of(item, module)]  # type: ignore[attr-defined]
    verdict = vm.verdict(module, name, chosen)
    assert verdict.passed, verdict.why


def _is_of(item: pytest.Item, module: str) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("module") == module
