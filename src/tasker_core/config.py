"""What the environment says: where the database and the templates are."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog

from tasker.model.errors import SettingsError, TemplateError
from tasker.model.template import Template
from tasker.settings import Settings
from tasker_core.declared_events import Declared, by_step, load_with_events
from tasker_core.template_discovery import TemplatePath
from tasker_core.types import BootstrapConfig

_log = structlog.get_logger("tasker_core.config")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a process starts with. Without a DSN it runs its own PostgreSQL."""

    dsn: str | None
    template_files: tuple[Path, ...]
    settings: Settings


def read_config(given: BootstrapConfig) -> Config:
    """The configuration of this process. Raises SettingsError for a file that cannot be read.

    The database is TASKER_DATABASE_URL's (or the `database_url` of tasker.toml), else DATABASE_URL's, else that of the
    file's `[common.database]`. Plain handlers run one at a time unless TASKER_THREADS (`threads`) says otherwise.
    """
    path = given.config_path or os.environ.get("TASKER_CONFIG_PATH")
    said = _read(Path(path)) if path else {}
    database, templates = _section(said, "common", "database"), _section(said, "common", "task_templates")
    settings = Settings()
    dsn = settings.database_url or os.environ.get("DATABASE_URL") or database.get("url") or None
    return Config(
        dsn=None if dsn is None else plain_dsn(str(dsn)),
        template_files=_template_files(templates.get("search_paths")),
        settings=settings if "threads" in settings.model_fields_set else settings.model_copy(update={"threads": 1}),
    )


def read_orchestration() -> dict[str, Any] | None:
    """`[worker.orchestration_client]` of the file, where it names a server and nothing names a database.

    Raises SettingsError for a file that cannot be read.
    """
    environment = os.environ
    path = environment.get("TASKER_CONFIG_PATH")
    if not path or environment.get("TASKER_DATABASE_URL") or environment.get("DATABASE_URL"):
        return None
    said = _read(Path(path))
    found = _section(said, "worker", "orchestration_client")
    return found if found.get("base_url") and not _section(said, "common", "database").get("url") else None


def plain_dsn(dsn: str) -> str:
    """Without the name of a driver, as SQLAlchemy's addresses carry it: `postgresql+asyncpg://`."""
    return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", dsn)


def load_templates(config: Config) -> tuple[list[Template], Declared]:
    """The templates of the files, and the domain events that they declare.

    One that is not valid is logged and left out: the others are served all the same.
    """
    templates: list[Template] = []
    declared: Declared = {}
    for file in config.template_files:
        try:
            loaded, events = load_with_events(file, config.settings.env)
        except (TemplateError, OSError) as error:
            _log.error("a template is not valid and is left out", file=str(file), error=str(error))
            continue
        for warning in loaded.warnings:
            _log.warning("a template has a key without effect", warning=str(warning))
        templates.append(loaded.template)
        declared.update(by_step(loaded.template, events))
    return templates, declared


def _read(path: Path) -> dict[str, Any]:
    try:
        return _expanded(tomllib.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"TASKER_CONFIG_PATH: {path} cannot be read: {error}") from error


def _expanded(value: Any) -> Any:
    """With `${VARIABLE:-default}` replaced, wherever it stands in a text."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[2] or "", value)
    if isinstance(value, dict):
        return {key: _expanded(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_expanded(inner) for inner in cast("list[Any]", value)]
    return value


def _section(said: Mapping[str, Any], *names: str) -> dict[str, Any]:
    found: Any = said
    for name in names:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _template_files(search_paths: Any) -> tuple[Path, ...]:
    """TASKER_TEMPLATE_PATH comes first, then the file's globs, then the folders that a project has by custom."""
    if search_paths and not os.environ.get("TASKER_TEMPLATE_PATH"):
        found = (path for pattern in cast("list[str]", search_paths) for path in Path().glob(pattern))
        return tuple(sorted({path for path in found if path.is_file()}))
    folder = TemplatePath.find_template_config_directory()
    if folder is None or folder.is_file():
        return () if folder is None else (folder,)
    return tuple(TemplatePath.discover_template_files(folder))
