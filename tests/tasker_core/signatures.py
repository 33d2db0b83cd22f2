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
        ClientTaskListResponse ClientStepResponse ClientStepAuditResponse ClientHealthResponse ClientPaginationInfo
        poll_step_events complete_step_event get_ffi_dispatch_metrics check_starvation_warnings cleanup_timeouts
        poll_in_process_events EventPoller EventBridge EventNames StepExecutionSubscriber StepExecutionError
        InProcessDomainEventPoller DomainEventMetadata ExecutionResult InProcessDomainEvent StepEventContext
        BasePublisher BaseSubscriber EventDeclaration StepResult PublishContext get_health_check get_metrics
        get_worker_config ComponentHealth HealthCheck WorkerMetrics WorkerConfig""",
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
        NoBatchesOutcome CreateBatchesOutcome BatchProcessingOutcome no_batches create_batches CursorConfig
        ClientTaskResponse ClientTaskListResponse ClientStepResponse ClientStepAuditResponse ClientHealthResponse
        ClientPaginationInfo ClientStepReadiness BatchAggregationResult aggregate_batch_results
        InProcessDomainEvent HealthCheck WorkerMetrics WorkerConfig""",
    "tasker_core.errors": """
        TaskerError RetryableError PermanentError TimeoutError NetworkError RateLimitError ServiceUnavailableError
        ResourceContentionError ValidationError NotFoundError AuthenticationError AuthorizationError ConfigurationError
        BusinessLogicError FFIError""",
    "tasker_core.errors.error_classifier": "ErrorClassifier get_classifier is_retryable is_permanent",
    "tasker_core.exceptions": "TaskerError WorkerNotInitializedError FFIError ConversionError",
    "tasker_core.client": "TaskerClient TaskResponse",
    "tasker_core.domain_events": """
        BasePublisher BaseSubscriber DefaultPublisher DomainEventMetadata EventDeclaration ExecutionResult
        InProcessDomainEvent InProcessDomainEventPoller PublishContext PublisherRegistry StepEventContext StepResult
        SubscriberRegistry""",
    "tasker_core.event_bridge": "EventBridge EventNames",
    "tasker_core.event_poller": "EventPoller",
    "tasker_core.step_execution_subscriber": "StepExecutionSubscriber StepExecutionError",
    "tasker_core.observability": """
        get_health_check get_metrics get_worker_config ComponentHealth HealthCheck WorkerMetrics WorkerConfig""",
    "tasker_core.examples.checkpoint_yield": """
        CheckpointYieldAnalyzerHandler CheckpointYieldWorkerHandler CheckpointYieldAggregatorHandler""",
    "tasker_core._tasker_core": """
        get_version get_rust_version health_check bootstrap_worker stop_worker get_worker_status
        transition_to_graceful_shutdown is_worker_running log_error log_warn log_info log_debug log_trace
        poll_step_events complete_step_event checkpoint_yield_step_event get_ffi_dispatch_metrics
        check_starvation_warnings cleanup_timeouts poll_in_process_events get_health_check get_metrics
        get_worker_config client_create_task client_get_task client_list_tasks client_cancel_task
        client_list_task_steps client_get_step client_get_step_audit_history client_health_check""",
    "tasker_core.handler": "StepHandler HandlerRegistry",
    "tasker_core.worker": "Worker",
    "tasker_core.bootstrap": "bootstrap_worker stop_worker get_worker_status is_worker_running",
    "tasker_core.logging": "log_error log_info",
    "tasker_core.models": "TaskSequenceStepWrapper",
    "tasker_core.template_discovery": "TemplatePath TemplateParser HandlerDiscovery",
}

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
    "tasker_core.types:aggregate_batch_results": "worker_results",
    "tasker_core.types:no_batches": "",
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
    "tasker_core:version": "",
    "tasker_core:get_version": "",
    "tasker_core:get_rust_version": "",
    "tasker_core:health_check": "",
    "tasker_core:transition_to_graceful_shutdown": "",
    "tasker_core:poll_step_events": "",
    "tasker_core:complete_step_event": "event_id, result",
    "tasker_core:get_ffi_dispatch_metrics": "",
    "tasker_core:check_starvation_warnings": "",
    "tasker_core:cleanup_timeouts": "",
    "tasker_core:poll_in_process_events": "",
    "tasker_core:get_health_check": "",
    "tasker_core:get_metrics": "",
    "tasker_core:get_worker_config": "",
    "tasker_core:EventPoller": "polling_interval_ms=10, starvation_check_interval=100, cleanup_interval=1000",
    "tasker_core:EventPoller.on_step_event": "callback",
    "tasker_core:EventPoller.on_metrics": "callback",
    "tasker_core:EventPoller.on_error": "callback",
    "tasker_core:EventPoller.start": "",
    "tasker_core:EventPoller.stop": "timeout=5.0",
    "tasker_core:EventPoller.get_metrics": "",
    "tasker_core:EventBridge.instance": "",
    "tasker_core:EventBridge.reset_instance": "",
    "tasker_core:EventBridge.start": "",
    "tasker_core:EventBridge.stop": "",
    "tasker_core:EventBridge.subscribe": "event_name, handler",
    "tasker_core:EventBridge.subscribe_once": "event_name, handler",
    "tasker_core:EventBridge.unsubscribe": "event_name, handler",
    "tasker_core:EventBridge.publish": "event_name, *args",
    "tasker_core:EventBridge.listener_count": "event_name",
    "tasker_core:EventBridge.listeners": "event_name",
    "tasker_core:StepExecutionSubscriber": "event_bridge, handler_registry, worker_id",
    "tasker_core:StepExecutionSubscriber.start": "",
    "tasker_core:StepExecutionSubscriber.stop": "",
    "tasker_core:InProcessDomainEventPoller": "polling_interval_ms=10, max_events_per_poll=100",
    "tasker_core:InProcessDomainEventPoller.on_event": "callback",
    "tasker_core:InProcessDomainEventPoller.on_error": "callback",
    "tasker_core:BasePublisher.should_publish": "ctx",
    "tasker_core:BasePublisher.transform_payload": "ctx",
    "tasker_core:BasePublisher.additional_metadata": "ctx",
    "tasker_core:BasePublisher.before_publish": "event_name, payload, metadata",
    "tasker_core:BasePublisher.on_publish_error": "event_name, error, payload",
    "tasker_core:BasePublisher.publish": "ctx, event_name=None",
    "tasker_core:BaseSubscriber.subscribes_to": "",
    "tasker_core:BaseSubscriber.handle": "event",
    "tasker_core:BaseSubscriber.before_handle": "event",
    "tasker_core:BaseSubscriber.start": "poller",
    "tasker_core:BaseSubscriber.stop": "",
    "tasker_core.domain_events:PublisherRegistry.instance": "",
    "tasker_core.domain_events:PublisherRegistry.register": "publisher, name=None",
    "tasker_core.domain_events:SubscriberRegistry.start_all": "poller",
    "tasker_core.domain_events:SubscriberRegistry.stop_all": "",
    "tasker_core:StepExecutionResult.success_result": ("step_uuid, task_uuid, result, execution_time_ms, **rest"),
    "tasker_core._tasker_core:poll_step_events": "",
    "tasker_core._tasker_core:client_health_check": "",
    "tasker_core:ResolverChain.add_resolver": "resolver",
    "tasker_core:ResolverChain.remove_resolver": "name",
    "tasker_core:HandlerRegistry.unregister": "name",
    "tasker_core:HandlerRegistry.get_handler_class": "name",
    "tasker_core:HandlerRegistry.is_registered": "name",
    "tasker_core:TemplatePath.find_template_config_directory": "",
    "tasker_core:TemplatePath.discover_template_files": "directory",
    "tasker_core:get_classifier": "",
    "tasker_core:is_permanent": "exc",
    "tasker_core:ErrorClassifier.retryable": "exc",
    "tasker_core:ErrorClassifier.permanent": "exc",
}

FIELDS = {
    "tasker_core:FfiStepEvent": """event_id task_uuid step_uuid correlation_id task_correlation_id
        parent_correlation_id trace_id span_id task_sequence_step""",
    "tasker_core:StepContext": """event task_uuid step_uuid correlation_id handler_name input_data dependency_results
        step_config step_inputs retry_count max_retries""",
    "tasker_core:StepHandlerResult": "is_success result error_message error_type error_code retryable metadata",
    "tasker_core:StepError": "error_type message stack_trace retryable metadata",
    "tasker_core:StepExecutionResult": """step_uuid task_uuid success status execution_time_ms result error worker_id
        correlation_id metadata""",
    "tasker_core:StepHandlerCallResult": "success result error_message metadata",
    "tasker_core:FfiDispatchMetrics": """pending_count oldest_pending_age_ms newest_pending_age_ms oldest_event_id
        starvation_detected starving_event_count""",
    "tasker_core:BootstrapConfig": "worker_id namespace config_path log_level",
    "tasker_core:BootstrapResult": "success handle_id worker_id status message error_message",
    "tasker_core:LogContext": "correlation_id task_uuid step_uuid namespace operation",
    "tasker_core:DecisionPointOutcome": "decision_type next_step_names dynamic_steps reason routing_context",
    "tasker_core:CursorConfig": "start_cursor end_cursor step_size metadata",
    "tasker_core:BatchAnalyzerOutcome": "cursor_configs total_items batch_metadata",
    "tasker_core:BatchWorkerOutcome": """items_processed items_succeeded items_failed items_skipped results errors
        last_cursor batch_metadata""",
    "tasker_core:BatchWorkerContext": "batch_id cursor_config batch_index total_batches batch_metadata checkpoint",
    "tasker_core:BatchWorkerConfig": "batch_id cursor_start cursor_end row_count worker_index total_workers",
    "tasker_core:BatchAggregationScenario": "is_no_batches batchable_result batch_results worker_count",
    "tasker_core:EventDeclaration": "name condition delivery_mode publisher schema",
    "tasker_core:StepEventContext": "task_uuid step_uuid step_name namespace correlation_id result metadata",
    "tasker_core:HealthCheck": "status is_running components rust python",
    "tasker_core:ClientTaskResponse": """task_uuid name namespace version status created_at updated_at completed_at
        context initiator source_system reason priority tags correlation_id parent_correlation_id total_steps
        pending_steps in_progress_steps completed_steps failed_steps ready_steps execution_status recommended_action
        completion_percentage health_status steps""",
    "tasker_core:HandlerDefinition": "callable handler_method resolver initialization",
    "tasker_core:ClientStepResponse": """step_uuid task_uuid name created_at updated_at completed_at results
        current_state dependencies_satisfied retry_eligible ready_for_execution total_parents completed_parents attempts
        max_attempts last_failure_at next_retry_at last_attempted_at""",
    "tasker_core:ClientStepAuditResponse": """audit_uuid workflow_step_uuid transition_uuid task_uuid recorded_at
        worker_uuid correlation_id success execution_time_ms result step_name from_state to_state""",
    "tasker_core:ClientPaginationInfo": "page per_page total_count total_pages has_next has_previous",
    "tasker_core:ClientTaskListResponse": "tasks pagination",
    "tasker_core:ClientHealthResponse": "status timestamp",
    "tasker_core.types:ClientStepReadiness": """workflow_step_uuid task_uuid named_step_uuid name current_state
        dependencies_satisfied retry_eligible ready_for_execution last_failure_at next_retry_at total_parents
        completed_parents attempts max_attempts backoff_request_seconds last_attempted_at""",
}
"""The fields of its records, in their order. Ours may have more."""

WORDS = {
    "tasker_core:ErrorType": "permanent_error retryable_error validation_error timeout handler_error",
    "tasker_core:ResultStatus": "completed error retryable_error permanent_error",
    "tasker_core:DecisionType": "create_steps no_branches",
    "tasker_core.types:FailureStrategy": "continue_on_failure fail_fast isolate",
    "tasker_core:EventNames": """step.execution.received step.completion.sent step.checkpoint_yield.sent
        handler.registered handler.error poller.metrics poller.error""",
}
"""The values of its enumerations."""
