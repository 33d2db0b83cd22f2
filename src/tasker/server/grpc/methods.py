"""The table of methods: which operation answers which RPC."""

from __future__ import annotations

from tasker.operations import accounts, analytics, configuration, dlq, lists, steps, tasks, templates
from tasker.server.grpc import steps as of_steps
from tasker.server.grpc import system, workers
from tasker.server.grpc import tasks as of_tasks
from tasker.server.grpc.asked import Method, StreamMethod, simply

METHODS: tuple[Method, ...] = (
    Method("TaskService", "CreateTask", tasks.create_task, simply(tasks.create_task, "task")),
    Method("TaskService", "GetTask", tasks.get_task, of_tasks.get_task),
    Method("TaskService", "ListTasks", lists.list_tasks, of_tasks.list_tasks),
    Method("TaskService", "CancelTask", tasks.cancel_task, of_tasks.cancel_task),
    Method("TaskService", "GetTaskContext", accounts.get_task_context, simply(accounts.get_task_context, "context")),
    Method("TaskService", "GetTaskSummary", accounts.get_task_summary, simply(accounts.get_task_summary)),
    Method("StepService", "GetStep", steps.get_step, simply(steps.get_step, "step")),
    Method("StepService", "ListSteps", steps.list_steps, of_steps.list_steps),
    Method("StepService", "ResolveStep", steps.act_on_step, of_steps.resolve_step),
    Method("StepService", "GetStepAudit", steps.get_step_audit, simply(steps.get_step_audit, "audit_records")),
    Method("TemplateService", "ListTemplates", templates.list_templates, simply(templates.list_templates)),
    Method("TemplateService", "GetTemplate", templates.get_template, simply(templates.get_template, "template")),
    Method("AnalyticsService", "GetPerformanceMetrics", analytics.get_performance, simply(analytics.get_performance)),
    Method("AnalyticsService", "GetBottleneckAnalysis", analytics.get_bottlenecks, simply(analytics.get_bottlenecks)),
    Method("DlqService", "ListEntries", dlq.list_dlq, simply(dlq.list_dlq, "entries")),
    Method("DlqService", "GetEntryByTask", dlq.get_dlq_of_task, simply(dlq.get_dlq_of_task, "entry")),
    Method("DlqService", "UpdateInvestigation", dlq.update_dlq_entry, simply(dlq.update_dlq_entry)),
    Method("DlqService", "GetStats", dlq.get_dlq_stats, simply(dlq.get_dlq_stats, "stats")),
    Method(
        "DlqService",
        "GetInvestigationQueue",
        dlq.get_investigation_queue,
        simply(dlq.get_investigation_queue, "entries"),
    ),
    Method("DlqService", "GetStalenessMonitoring", dlq.get_staleness, simply(dlq.get_staleness, "entries")),
    Method("HealthService", "CheckHealth", None, system.alive, is_open=True),
    Method("HealthService", "CheckLiveness", None, system.alive, is_open=True),
    Method("HealthService", "CheckReadiness", None, system.readiness, is_open=True),
    Method("HealthService", "CheckDetailedHealth", None, system.details, is_open=True),
    Method("ConfigService", "GetConfig", configuration.get_config, simply(configuration.get_config)),
    Method("WorkerConfigService", "GetConfig", workers.CONFIG, workers.get_config),
    Method("WorkerHealthService", "CheckHealth", None, workers.alive, is_open=True),
    Method("WorkerHealthService", "CheckLiveness", None, workers.alive, is_open=True),
    Method("WorkerHealthService", "CheckReadiness", None, workers.readiness, is_open=True),
    Method("WorkerHealthService", "CheckDetailedHealth", None, workers.details, is_open=True),
    Method("WorkerTemplateService", "ListTemplates", workers.LIST, workers.list_templates),
    Method("WorkerTemplateService", "GetTemplate", workers.GET, workers.get_template),
    Method("OperationService", "ListOperations", None, system.list_operations),
    Method("OperationService", "Call", None, system.call_operation),
)
"""Those that answer once."""
STREAMS: tuple[StreamMethod, ...] = (
    StreamMethod("TaskService", "StreamTaskStatus", of_tasks.watch, of_tasks.status_update),
    StreamMethod("OperationService", "Watch", system.watch_operation, system.item),
)
"""Those that answer with a stream."""
