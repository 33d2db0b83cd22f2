"""Every method is called over a channel with every field of its request, and every field of its answer is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grpc_support import client_of
from scene import HANDLERS, Recorder, play

from tasker import Tasker, proto
from tasker.server.auth.host import HostAuthenticator, host_principal
from tasker.server.grpc.methods import METHODS, STREAMS

NEVER = {
    "CreateTaskResponse.backpressure", "Step.backoff_request_seconds", "StepAuditRecord.worker_uuid",
    "NamespaceSummary.description", "DetailedHealthChecks.pool_utilization", "DetailedHealthChecks.channel_saturation",
    "HealthInfo.pool_utilization", "WorkerSystemInfo.supported_namespaces", "WorkerSystemInfo.pool_utilization",
    "ResourceUtilization.database_pool_utilization",
    "SafeCircuitBreakerConfig.enabled", "SafeCircuitBreakerConfig.failure_threshold",
    "SafeCircuitBreakerConfig.timeout_seconds", "SafeCircuitBreakerConfig.success_threshold",
    "CacheStats.total_cached", "CacheStats.cache_hits", "CacheStats.cache_misses", "CacheStats.cache_evictions",
    "CacheStats.oldest_entry_age_seconds", "CacheStats.average_access_count", "DistributedCacheInfo.enabled",
    "WorkerTemplateResponse.cached", "WorkerTemplateResponse.cache_age_seconds", "WorkerTemplateResponse.access_count",
}  # fmt: skip
"""What is told in no answer, because there is no such thing here: caches, breakers of the server, nested pools."""
FRESH = {
    "HealthCheck.message", "HealthCheck.duration_ms", "WorkerHealthCheck.message", "WorkerHealthCheck.duration_ms",
    "SafeAuthConfig.api_key_count", "StalenessMonitoringEntry.time_in_state_minutes", "PaginationResponse.offset",
    "StalenessMonitoringEntry.task_age_minutes", "WorkerSystemInfo.uptime_seconds", "TaskTiming.wait_s",
    "SlowStepInfo.error_count", "SlowTaskInfo.error_count", "StepAuditRecord.execution_time_ms",
}  # fmt: skip
FRESH |= {f"SystemHealthCounts.{one.name}" for one in proto.message("SystemHealthCounts").DESCRIPTOR.fields}
"""What may be nothing yet in a database that is a few seconds old."""


def _reachable(kind: Any, found: dict[str, Any]) -> Iterator[str]:
    """The fields of a message and of the messages inside of it."""
    if kind.name in found:
        return
    found[kind.name] = kind
    for field in kind.fields:
        yield (name := f"{kind.name}.{field.name}")
        inner = field.message_type
        if inner is not None and name not in NEVER and not inner.full_name.startswith("google."):
            yield from _reachable(inner, found)


async def test_every_field_is_said_and_heard(database: str) -> None:
    """Over all methods no field is left that was not said in a request that worked, or heard in an answer."""
    everything = HostAuthenticator(lambda _: host_principal("ann", roles=["admin"], namespaces=None))
    async with Tasker(database, handlers=HANDLERS) as tasker:
        settings = {"auth_jwt_issuer": "https://issuer.example", "auth_jwt_audience": "tasker"}
        async with client_of(tasker, authenticator=everything, **settings) as client:
            recorder = Recorder(client)
            await play(tasker, recorder)
    known: dict[str, Any] = {}
    wanted: set[str] = set()
    for method in (*METHODS, *STREAMS):
        of = proto.methods(method.service)[method.name]
        wanted |= {*_reachable(of.input_type, known), *_reachable(of.output_type, known)}
    seen = {f"{message}.{field}" for message, fields in recorder.seen.items() for field in fields}
    print(f"\n{len(METHODS) + len(STREAMS)} methods, {len(wanted)} fields, {len(seen & wanted)} of them seen")
    assert sorted(wanted - seen - NEVER - FRESH) == []
    assert seen & NEVER == set()
    assert wanted >= NEVER
