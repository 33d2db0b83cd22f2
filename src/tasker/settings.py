"""Every setting of Tasker, as one frozen tree. Each has an environment variable, `TASKER_` and its name in capitals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasker.sql import DEFAULT_SCHEMA


class Settings(BaseSettings):
    """What a process reads once, at its start. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="TASKER_", frozen=True, extra="forbid", populate_by_name=True)

    database_url: str | None = Field(None, description="DSN of PostgreSQL; the embedded one where it is not set.")
    schema_name: str = Field(DEFAULT_SCHEMA, alias="TASKER_SCHEMA", description="The schema that Tasker owns.")
    env: str | None = Field(None, description="Which `environments` block of the templates applies.")

    concurrency: int = Field(200, gt=0, description="Async steps that one process runs at once.")
    threads: int = Field(8, gt=0, description="Plain (blocking) steps that one process runs at once.")
    cpu_processes: int = Field(2, gt=0, description="Steps declared runs_in='process' that one process runs at once.")

    lease_s: float = Field(15, gt=0, description="A session silent for longer is ended, and its steps run elsewhere.")
    beat_s: float = Field(3, gt=0, description="How often a session says that it is alive.")
    poll_s: float = Field(0.1, gt=0, description="How often an idle worker looks for work without being woken.")
    sweep_s: float = Field(1, gt=0, description="How often the net under everything is drawn.")
    drain_s: float = Field(30, ge=0, description="How long a worker that is asked to stop lets its steps finish.")

    result_bytes_max: int = Field(1_048_576, gt=0, description="The largest result, as JSON, that a step may have.")
    input_bytes_max: int = Field(1_048_576, gt=0, description="The largest context, as JSON, that a task may have.")
    checkpoint_bytes_max: int = Field(1_048_576, gt=0, description="The largest checkpoint, as JSON, of a step.")
    read_connections: int = Field(4, gt=0, description="Connections that a process keeps for submits and reads.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What `tasker worker` logs.")
