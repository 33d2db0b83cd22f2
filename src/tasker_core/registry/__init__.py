"""Names, paths and resolvers of handlers."""

from tasker_core.registry.definition import HandlerDefinition, MethodDispatchWrapper
from tasker_core.registry.handlers import HandlerRegistry
from tasker_core.registry.resolvers import (
    BaseResolver,
    ClassLookupResolver,
    ExplicitMappingResolver,
    RegistryResolver,
    ResolutionError,
    ResolverChain,
    ResolverNotFoundError,
)

__all__ = [
    "BaseResolver",
    "ClassLookupResolver",
    "ExplicitMappingResolver",
    "HandlerDefinition",
    "HandlerRegistry",
    "MethodDispatchWrapper",
    "RegistryResolver",
    "ResolutionError",
    "ResolverChain",
    "ResolverNotFoundError",
]
