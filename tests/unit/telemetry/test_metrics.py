import re
from pathlib import Path

from cortex.telemetry.energy_metrics import EnergyMetrics, EnergySample
from cortex.telemetry.host import HostCollector
from cortex.telemetry.metrics import Metrics, RequestSample

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/metrics.md"


def exposed(metrics):
    return metrics.render().decode()


def test_two_registries_do_not_meet():
    first, second = Metrics(brand="a", version="1"), Metrics(brand="b", version="1")
    first.memories_stored.inc(3)
    assert "cortex_memories_stored_total 3.0" in exposed(first)
    assert "cortex_memories_stored_total 0.0" in exposed(second)


def test_the_build_names_its_brand_and_version():
    text = exposed(Metrics(brand="brAInwav", version="0.1.0"))
    assert 'cortex_build_info{brand="brAInwav",version="0.1.0"} 1.0' in text


def test_a_request_is_counted_by_template_and_status_class():
    metrics = Metrics(brand="b", version="1")
    metrics.request(RequestSample("/memory/{memory_id}", "GET", 404, 0.02))
    labels = 'method="GET",route="/memory/{memory_id}",status="4xx"'
    text = exposed(metrics)
    assert f"cortex_http_requests_total{{{labels}}} 1.0" in text
    assert f'cortex_http_request_seconds_bucket{{le="0.025",{labels}}} 1.0' in text


def test_every_metric_is_documented_and_every_documented_one_exists():
    metrics = Metrics(brand="b", version="1")
    metrics.registry.register(HostCollector(PAGE.parent))
    energy = EnergySample(memory_ratio=0.5, gpu_memory_ratios=(0.5,))
    metrics.registry.register(EnergyMetrics(lambda: energy))
    kinds = dict(
        re.findall(r"^# TYPE (cortex_\w+) (\w+)$", exposed(metrics), re.MULTILINE)
    )
    rows = dict(
        re.findall(r"^\| `(cortex_\w+)` \| (\w+)", PAGE.read_text(), re.MULTILINE)
    )
    created = {name for name in kinds if name.endswith("_created")}
    assert rows == {name: kind for name, kind in kinds.items() if name not in created}
