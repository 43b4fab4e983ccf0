from collections.abc import Sequence

import pytest

from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import NewMemory
from cortex.testing.clock import ManualClock
from cortex.testing.usecases import MODEL
from cortex.usecases.databases import Databases
from cortex.usecases.discover import RESOURCES_MAX, Discover
from cortex.usecases.files import Files
from cortex.usecases.model import HealthReport, LoadedModel, ServiceInfo, Status
from cortex.usecases.services import Services


async def models() -> Sequence[LoadedModel]:
    return [LoadedModel(MODEL, loaded=True, cache_hits=0, cache_misses=0)]


async def health() -> HealthReport:
    return HealthReport(Status.OK, {})


async def ping(url: str) -> None:
    raise AssertionError(url)


@pytest.fixture
async def discover(house, tmp_path) -> Discover:
    for tenant, name in (("acme", "alpha"), ("acme", "beta"), ("other", "gamma")):
        await house.world.add(NewMemory("x"), ns=Namespace(tenant, name))
    own = ServiceInfo("cortex", "http", "http://127.0.0.1:4949")
    clock = ManualClock()
    return Discover(
        house.world.store,
        Databases({}, schema_only=frozenset(), clock=clock),
        Files({"notes": tmp_path}),
        Services(own, health, {"search": "http://s"}, ping=ping, clock=clock),
        models,
    )


def caller(*scopes: str, namespaces=("*",)) -> Principal:
    return Principal("ann", "acme", frozenset(scopes), namespaces)


def ids(resources) -> set[str]:
    return {one.id for one in resources}


async def test_all_scopes_see_all_of_the_tenant_and_nothing_of_another(discover):
    assert ids(await discover(caller("*"))) == {
        "namespace:alpha", "namespace:beta", "folder:notes",
        "service:cortex", "service:search", f"model:{MODEL.name}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ("memory", set()),
        ("filesystem", {"folder:notes"}),
        ("services", {"service:cortex", "service:search"}),
        ("database", set()),
    ],
)
async def test_a_scope_shows_its_own(discover, scope, seen):
    always = {"namespace:alpha", "namespace:beta", f"model:{MODEL.name}"}
    assert ids(await discover(caller(scope))) == always | seen


async def test_a_bound_caller_sees_its_namespaces_alone(discover):
    found = ids(await discover(caller("*", namespaces=("al*",))))
    assert "namespace:alpha" in found
    assert "namespace:beta" not in found


async def test_resources_are_bounded(discover, house):
    for n in range(RESOURCES_MAX + 5):
        await house.world.add(NewMemory("x"), ns=Namespace("acme", f"n{n:04}"))
    assert len(await discover(caller("*"))) == RESOURCES_MAX
