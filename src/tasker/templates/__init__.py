"""YAML to templates: loading and checking, the older spelling, the graph, and the form in which they are published."""

from tasker.model.problem import Problem
from tasker.templates.definition import differences, digest, from_definition, to_definition
from tasker.templates.loading import Loaded, load_file, load_given, load_paths, load_text
from tasker.templates.schemas import check_inputs, check_result

__all__ = [
    "Loaded",
    "Problem",
    "check_inputs",
    "check_result",
    "differences",
    "digest",
    "from_definition",
    "load_file",
    "load_given",
    "load_paths",
    "load_text",
    "to_definition",
]
