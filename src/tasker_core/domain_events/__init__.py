"""Domain events: what a step's template declares, published in this process once the step's outcome is recorded."""

from tasker_core.domain_events.declaration import EventDeclaration, PublishContext, StepEventContext, StepResult
from tasker_core.domain_events.poller import InProcessDomainEventPoller
from tasker_core.domain_events.publishers import BasePublisher, DefaultPublisher, PublisherRegistry
from tasker_core.domain_events.subscribers import BaseSubscriber, SubscriberRegistry
from tasker_core.types.events import DomainEventMetadata, ExecutionResult, InProcessDomainEvent

__all__ = [
    "BasePublisher",
    "BaseSubscriber",
    "DefaultPublisher",
    "DomainEventMetadata",
    "EventDeclaration",
    "ExecutionResult",
    "InProcessDomainEvent",
    "InProcessDomainEventPoller",
    "PublishContext",
    "PublisherRegistry",
    "StepEventContext",
    "StepResult",
    "SubscriberRegistry",
]
