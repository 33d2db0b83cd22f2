"""The published interface: where each name is, and how it is called. `self` is left out, annotations too."""

from __future__ import annotations

MODULES = {
    "tasker_core": """
        __version__ version get_version get_rust_version health_check bootstrap_worker stop_worker get_worker_status
        transition_to_graceful_shutdown is_worker_running Worker log_error log_warn log_info log_debug log_trace
        StepHandler ApiHandler ApiResponse DecisionHandler Batchable BatchAggregationScenario BatchWorkerConfig
        HandlerRegistry BaseResolver RegistryResolver ResolverChain ResolverNotFoundError ResolutionError
        HandlerDefinition MethodDispatchWrapper ExplicitMappingResolver ClassLookupResolver TemplatePath TemplateParser
        HandlerDiscovery BootstrapConfig BootstrapResult WorkerStatus WorkerState StepHandlerCallResult LogContext
        FfiStepEvent StepExecutionResult StepError ResultStatus ErrorType FfiDispatchMetrics StarvationWarning
        StepContext StepHandlerResult DecisionType DecisionPointOutcome CursorConfig BatchAnalyzerOutcome
        BatchWorkerContext BatchWorkerOutcome TaskSequenceStepWrapper TaskWrapper WorkflowStepWrapper
        DependencyResultsWrapper StepDefinitionWrapper HandlerWrapper TaskerError WorkerNotInitializedError
        WorkerBootstrapError WorkerAlreadyRunningError FFIError ConversionError RetryableError PermanentError
        StepTimeoutError NetworkError RateLimitError ServiceUnavailableError ResourceContentionError
        StepValidationError NotFoundError AuthenticationError AuthorizationError ConfigurationError BusinessLogicError
        ErrorClassifier get_classifier is_retryable is_permanent TaskerClient ClientTaskResponse
        ClientTaskListResponse ClientStepResponse ClientStepAuditResponse ClientHealthResponse ClientPaginationInfo""",
    "tasker_core.step_handler": """
        StepHandler DecisionHandler ApiHandler step_handler depends_on inputs decision_handler batch_analyzer
        batch_worker api_handler Decision BatchConfig FunctionalHandler HandlerDecorator""",
    "tasker_core.step_handler.functional": """
        step_handler depends_on inputs decision_handler batch_analyzer batch_worker api_handler Decision BatchConfig
        FunctionalHandler HandlerDecorator""",
    "tasker_core.step_handler.mixins": "APIMixin ApiResponse DecisionMixin",
    "tasker_core.batch_processing": "Batchable",
    "tasker_core.types": """
        StepContext StepHandlerResult ErrorType FailureStrategy RustCursorConfig BatchMetadata RustBatchWorkerInputs
        NoBatchesOutcome CreateBatchesOutcome BatchProcessingOutcome no_batches create_batches CursorConfig""",
    "tasker_core.errors": """
        TaskerError RetryableError PermanentError TimeoutError NetworkError RateLimitError ServiceUnavailableError
        ResourceContentionError ValidationError NotFoundError AuthenticationError AuthorizationError ConfigurationError
        BusinessLogicError FFIError""",
    "tasker_core.errors.error_classifier": "ErrorClassifier get_classifier is_retryable is_permanent",
    "tasker_core.exceptions": "TaskerError WorkerNotInitializedError FFIError ConversionError",
    "tasker_core.client": "TaskerClient TaskResponse",
    "tasker_core.handler": "StepHandler HandlerRegistry",
    "tasker_core.worker": "Worker",
    "tasker_core.bootstrap": "bootstrap_worker stop_worker get_worker_status is_worker_running",
    "tasker_core.logging": "log_error log_info",
    "tasker_core.models": "TaskSequenceStepWrapper",
    "tasker_core.template_discovery": "TemplatePath TemplateParser HandlerDiscovery",
}

LATER = """
    poll_step_events complete_step_event get_ffi_dispatch_metrics check_starvation_warnings cleanup_timeouts
    poll_in_process_events EventPoller EventBridge EventNames StepExecutionSubscriber StepExecutionError
    InProcessDomainEventPoller DomainEventMetadata ExecutionResult InProcessDomainEvent StepEventContext BasePublisher
    BaseSubscriber EventDeclaration StepResult PublishContext get_health_check get_metrics get_worker_config
    ComponentHealth HealthCheck WorkerMetrics WorkerConfig"""

_BATCH_FIGURES = "items_failed=0, items_skipped=0, results=None, errors=None, last_cursor=None, batch_metadata=None"
_REQUEST = "path, json=None, data=None, headers=None, **kwargs"

SIGNATURES = {
    "tasker_core:bootstrap_worker": "config=None",
    "tasker_core:stop_worker": "",
    "tasker_core:get_worker_status": "",
    "tasker_core:is_worker_running": "",
    "tasker_core:log_error": "message, fields=None",
    "tasker_core:log_trace": "message, fields=None",
    "tasker_core:Worker.start": "handler_packages=None, config=None",
    "tasker_core:Worker.stop": "",
    "tasker_core:Worker.instance": "",
    "tasker_core:Worker.reset_instance": "",
    "tasker_core:StepHandler.call": "context",
    "tasker_core:StepHandler.success": "result=None, metadata=None",
    "tasker_core:StepHandler.failure": (
        "message, error_type='handler_error', retryable=True, metadata=None, error_code=None"
    ),
    "tasker_core:StepHandler.config_schema": "",
    "tasker_core:StepContext.from_ffi_event": "event, handler_name",
    "tasker_core:StepContext.get_dependency_result": "step_name",
    "tasker_core:StepContext.get_dependency_field": "step_name, *path",
    "tasker_core:StepContext.get_dependency_result_keys": "",
    "tasker_core:StepContext.get_all_dependency_results": "prefix",
    "tasker_core:StepContext.get_input": "key",
    "tasker_core:StepContext.get_input_or": "key, default=None",
    "tasker_core:StepContext.get_config": "key",
    "tasker_core:StepContext.is_retry": "",
    "tasker_core:StepContext.is_last_retry": "",
    "tasker_core:StepContext.has_checkpoint": "",
    "tasker_core:StepHandlerResult.success": "result, metadata=None",
    "tasker_core:StepHandlerResult.failure": (
        "message, error_type=handler_error, retryable=True, metadata=None, error_code=None"
    ),
    "tasker_core.errors:TaskerError": (
        "message, *, retryable=None, metadata=None, error_code=None, retry_after=None, context=None"
    ),
    "tasker_core:ErrorClassifier": "*, default_retryable=True",
    "tasker_core:ErrorClassifier.classify": "exc",
    "tasker_core:is_retryable": "exc",
    "tasker_core.step_handler.mixins:APIMixin.get": "path, params=None, headers=None, **kwargs",
    "tasker_core.step_handler.mixins:APIMixin.post": _REQUEST,
    "tasker_core.step_handler.mixins:APIMixin.put": _REQUEST,
    "tasker_core.step_handler.mixins:APIMixin.patch": _REQUEST,
    "tasker_core.step_handler.mixins:APIMixin.delete": "path, headers=None, **kwargs",
    "tasker_core.step_handler.mixins:APIMixin.request": "method, path, **kwargs",
    "tasker_core.step_handler.mixins:APIMixin.api_success": "response, result=None, include_response=True",
    "tasker_core.step_handler.mixins:APIMixin.api_failure": "response, message=None",
    "tasker_core:ApiResponse": "response, body=None",
    "tasker_core.step_handler.mixins:DecisionMixin.decision_success": "steps, routing_context=None, metadata=None",
    "tasker_core.step_handler.mixins:DecisionMixin.decision_success_with_outcome": "outcome, metadata=None",
    "tasker_core.step_handler.mixins:DecisionMixin.decision_no_branches": "outcome, metadata=None",
    "tasker_core.step_handler.mixins:DecisionMixin.skip_branches": "reason, routing_context=None, metadata=None",
    "tasker_core.step_handler.mixins:DecisionMixin.decision_failure": (
        "message, error_type='decision_error', retryable=False, metadata=None"
    ),
    "tasker_core:DecisionPointOutcome.create_steps": "step_names, dynamic_steps=None, routing_context=None",
    "tasker_core:DecisionPointOutcome.no_branches": "reason, routing_context=None",
    "tasker_core:BatchAnalyzerOutcome.from_ranges": "ranges, step_size=1, total_items=None, batch_metadata=None",
    "tasker_core:Batchable.create_cursor_config": "start, end, step_size=1, metadata=None",
    "tasker_core:Batchable.create_cursor_ranges": "total_items, batch_size, step_size=1, max_batches=None",
    "tasker_core:Batchable.create_cursor_configs": "total_items, worker_count",
    "tasker_core:Batchable.create_batch_outcome": "total_items, batch_size, step_size=1, batch_metadata=None",
    "tasker_core:Batchable.batch_analyzer_success": (
        "outcome=None, metadata=None, worker_template_name='batch_worker', cursor_configs=None, total_items=None, "
        "batch_metadata=None"
    ),
    "tasker_core:Batchable.no_batches_outcome": "reason, metadata=None",
    "tasker_core:Batchable.create_worker_outcome": f"items_processed, items_succeeded=0, {_BATCH_FIGURES}",
    "tasker_core:Batchable.batch_worker_success": (
        f"outcome=None, metadata=None, items_processed=None, items_succeeded=None, {_BATCH_FIGURES}"
    ),
    "tasker_core:Batchable.batch_worker_partial_failure": "outcome, message=None, metadata=None",
    "tasker_core:Batchable.checkpoint_yield": "cursor, items_processed, accumulated_results=None",
    "tasker_core:Batchable.detect_aggregation_scenario": "dep_results, batchable_step_name, batch_worker_prefix",
    "tasker_core:Batchable.no_batches_aggregation_result": "zero_metrics=None",
    "tasker_core:Batchable.aggregate_batch_worker_results": "scenario, zero_metrics=None, aggregation_fn=None",
    "tasker_core:Batchable.aggregate_worker_results": "worker_results",
    "tasker_core:Batchable.get_batch_worker_inputs": "context",
    "tasker_core:Batchable.handle_no_op_worker": "context",
    "tasker_core.types:create_batches": "worker_template_name, worker_count, cursor_configs, total_items",
    "tasker_core.step_handler.functional:step_handler": "name, version='1.0.0'",
    "tasker_core.step_handler.functional:decision_handler": "name, version='1.0.0'",
    "tasker_core.step_handler.functional:batch_analyzer": "name, worker_template, version='1.0.0'",
    "tasker_core.step_handler.functional:batch_worker": "name, version='1.0.0'",
    "tasker_core.step_handler.functional:api_handler": (
        "name, base_url, version='1.0.0', timeout=30.0, default_headers=None"
    ),
    "tasker_core.step_handler.functional:depends_on": "**dependencies",
    "tasker_core.step_handler.functional:inputs": "*keys",
    "tasker_core.step_handler.functional:Decision.route": "steps, **routing_context",
    "tasker_core.step_handler.functional:Decision.skip": "reason, **routing_context",
    "tasker_core:HandlerRegistry.instance": "skip_bootstrap=False",
    "tasker_core:HandlerRegistry.register": "name, handler_class",
    "tasker_core:HandlerRegistry.resolve": "handler",
    "tasker_core:HandlerRegistry.discover_handlers": "package, base_class=None",
    "tasker_core:HandlerDefinition": "callable, handler_method=None, resolver=None, initialization=<factory>",
    "tasker_core:MethodDispatchWrapper": "handler, target_method",
    "tasker_core:ExplicitMappingResolver": "name='explicit_mapping'",
    "tasker_core:RegistryResolver.resolve_handler": "definition, config=None",
    "tasker_core:ResolverChain.register": "key, handler",
    "tasker_core:ResolverChain.default": "",
    "tasker_core:TaskerClient": "initiator='tasker-core-python', source_system='tasker-core'",
    "tasker_core:TaskerClient.create_task": (
        "name, *, namespace='default', context=None, version='1.0.0', reason='Task requested', **kwargs"
    ),
    "tasker_core:TaskerClient.get_task": "task_uuid",
    "tasker_core:TaskerClient.list_tasks": "*, limit=50, offset=0, namespace=None, status=None",
    "tasker_core:TaskerClient.cancel_task": "task_uuid",
    "tasker_core:TaskerClient.list_task_steps": "task_uuid",
    "tasker_core:TaskerClient.get_step": "task_uuid, step_uuid",
    "tasker_core:TaskerClient.get_step_audit_history": "task_uuid, step_uuid",
    "tasker_core:TaskerClient.health_check": "",
}
