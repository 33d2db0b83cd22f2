"""Where templates are, and which handlers they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tasker.model.errors import TemplateError
from tasker.model.template import Template
from tasker.templates import load_file

_ROOT_MARKS = ("pyproject.toml", ".git")


class TemplatePath:
    """The folder of templates."""

    @staticmethod
    def find_template_config_directory() -> Path | None:
        """TASKER_TEMPLATE_PATH, else `config/tasks` of WORKSPACE_PATH, of the project, or here; else None.

        With TASKER_ENV=test, `tests/fixtures/task_templates` of the project comes before `config/tasks`.
        """
        return next((folder for folder in _candidates() if folder.exists()), None)

    @staticmethod
    def discover_template_files(directory: str | Path) -> list[Path]:
        """All *.yaml and *.yml below a folder, sorted."""
        folder = Path(directory)
        return sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())


class TemplateParser:
    """What single files say; nothing for those that are no templates."""

    @staticmethod
    def extract_handler_callables(path: str | Path) -> list[str]:
        """The names of the handlers, each once, in their order."""
        template = _template(path)
        steps = template.steps if template else ()
        return list(dict.fromkeys(step.handler.callable for step in steps))

    @staticmethod
    def extract_handlers_from_template(path: str | Path) -> list[str]:
        """The same."""
        return TemplateParser.extract_handler_callables(path)

    @staticmethod
    def extract_template_metadata(path: str | Path) -> dict[str, Any] | None:
        """name, namespace_name, version, description, handlers; None for what is no template."""
        template = _template(path)
        if template is None:
            return None
        return {
            "name": template.name,
            "namespace_name": template.namespace,
            "version": template.version,
            "description": template.description,
            "file_path": str(path),
            "handlers": TemplateParser.extract_handler_callables(path),
        }


class HandlerDiscovery:
    """What all files of a folder say."""

    @staticmethod
    def discover_all_handlers(template_dir: str | Path | None = None) -> list[str]:
        """The names of all handlers, sorted."""
        found = HandlerDiscovery.discover_template_metadata(template_dir)
        return sorted({name for one in found for name in one["handlers"]})

    @staticmethod
    def discover_template_metadata(template_dir: str | Path | None = None) -> list[dict[str, Any]]:
        """Of each template."""
        folder = template_dir or TemplatePath.find_template_config_directory()
        files = [] if folder is None else TemplatePath.discover_template_files(folder)
        return [one for file in files if (one := TemplateParser.extract_template_metadata(file)) is not None]

    @staticmethod
    def discover_handlers_by_namespace(template_dir: str | Path | None = None) -> dict[str, list[str]]:
        """The names of the handlers of each namespace, sorted."""
        found: dict[str, set[str]] = {}
        for one in HandlerDiscovery.discover_template_metadata(template_dir):
            found.setdefault(one["namespace_name"], set()).update(one["handlers"])
        return {namespace: sorted(names) for namespace, names in found.items()}


def _candidates() -> list[Path]:
    root = next((one for one in (Path.cwd(), *Path.cwd().parents) if _is_root(one)), None)
    given, workspace = os.environ.get("TASKER_TEMPLATE_PATH"), os.environ.get("WORKSPACE_PATH")
    folders = [Path(given)] if given else []
    if root is not None and os.environ.get("TASKER_ENV") == "test":
        folders.append(root / "tests" / "fixtures" / "task_templates")
    if workspace:
        folders.append(Path(workspace) / "config" / "tasks")
    if root is not None:
        folders.append(root / "config" / "tasks")
    return [*folders, Path.cwd() / "config" / "tasks"]


def _is_root(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in _ROOT_MARKS)


def _template(path: str | Path) -> Template | None:
    try:
        return load_file(path).template
    except TemplateError:
        return None
