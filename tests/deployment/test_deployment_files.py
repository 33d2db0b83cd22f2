"""The files under deploy/: linted, rendered and held against what the commands and settings of this tree are.

Nothing is run here: that takes a container engine and a cluster.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasker.cli.app import build
from tasker.settings import Settings

ROOT = Path(__file__).parents[2]
CHART, VERSION = ROOT / "deploy" / "helm" / "tasker", "1.31"
VARIABLES = {f"TASKER_{name.upper()}" for name in Settings.model_fields if name != "schema_name"} | {"TASKER_SCHEMA"}
ROUTES_OF_HEALTH = {"/health/live", "/health/ready"}
OF_HELM = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
AUTOSCALED = "workers[0].name=default,workers[0].autoscaling.maxReplicas=9,workers[0].handlers[0]=shop.handlers"


def _yaml() -> Any:
    return YAML(typ="safe")


def tool(name: str) -> str:
    """The path of a linter that the environment of the tests has."""
    path = Path(sys.executable).with_name(name)
    if not path.is_file():
        pytest.skip(f"{name} is not installed: its package has no build for this machine")
    return str(path)


def helm(*words: str) -> str:
    """What helm prints."""
    with TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_CACHE_HOME": home,
            "XDG_DATA_HOME": home,
        }
        found = subprocess.run([tool("helm"), *words], capture_output=True, text=True, check=False, env=environment)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def documents(*values: str) -> list[dict[str, Any]]:
    """The manifests that the chart makes of these values."""
    text = helm("template", "shop", str(CHART), *(word for value in values for word in ("--set", value)))
    return [document for document in _yaml().load_all(text) if document]


def containers(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The containers of all of them."""
    return [
        container
        for manifest in manifests
        if manifest["kind"] in ("Deployment", "Job")
        for container in manifest["spec"]["template"]["spec"]["containers"]
    ]


def compose() -> dict[str, Any]:
    """The compose file."""
    return _yaml().load((ROOT / "deploy" / "compose.yaml").read_text())


def assert_is_a_command(words: list[str]) -> None:
    """The words are a command of `tasker`, with options that it has; it is not run."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        build(words).parse_args(words, exit_on_error=False, print_error=False)


def test_the_dockerfile_is_clean() -> None:
    """hadolint finds nothing, and the image's own command is one."""
    file = ROOT / "deploy" / "Dockerfile"
    found = subprocess.run([tool("hadolint"), str(file)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
    [words] = re.findall(r"^CMD \[(.*)\]$", file.read_text(), re.MULTILINE)
    assert_is_a_command(re.findall(r'"([^"]*)"', words))


def test_the_chart_is_clean() -> None:
    """`helm lint --strict` finds nothing."""
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize("values", [(), (AUTOSCALED,), ("apiKeySecret.secret=keys", "image.pullSecrets[0]=registry")])
def test_what_the_chart_makes_is_kubernetes(values: tuple[str, ...]) -> None:
    """Every manifest is valid by Kubernetes' own schemas, unknown fields included."""
    validate: Any = pytest.importorskip("kubernetes_validate").validate
    manifests = documents(*values)
    assert {"Deployment", "Job", "PodDisruptionBudget", "Service"} <= {one["kind"] for one in manifests}
    for manifest in manifests:
        validate(manifest, VERSION, strict=True)


def test_the_chart_runs_commands_and_settings_that_exist() -> None:
    """Arguments are those of `tasker`, variables are settings, probes ask routes of health."""
    found = containers(documents(AUTOSCALED))
    assert [container["args"][0] for container in found if container["args"][0] != "db"] == ["server", "worker"]
    for container in found:
        assert_is_a_command(container["args"])
        assert {variable["name"] for variable in container["env"]} <= VARIABLES
        probes = [container[probe] for probe in container if probe.endswith("Probe")]
        assert {probe["httpGet"]["path"] for probe in probes} <= ROUTES_OF_HEALTH


def test_a_group_is_scaled_by_the_steps_that_wait() -> None:
    """A group with autoscaling has a scaler by the server's figure and no number of its own; one without has one."""
    [scaler] = [one for one in documents(AUTOSCALED) if one["kind"] == "HorizontalPodAutoscaler"]
    [metric] = scaler["spec"]["metrics"]
    figures = (ROOT / "src" / "tasker" / "server" / "metrics.py").read_text()
    assert f'"{metric["external"]["metric"]["name"]}"' in figures
    name = scaler["spec"]["scaleTargetRef"]["name"]
    for values, numbers in (((AUTOSCALED,), [None]), ((), [2])):
        groups = [one for one in documents(*values) if one["kind"] == "Deployment" and one["metadata"]["name"] == name]
        assert [group["spec"].get("replicas") for group in groups] == numbers


def test_a_value_that_is_none_is_refused() -> None:
    """A misspelled value, and a setting that is none of Tasker's, stop the installation."""
    for value in ("server.replica=3", "settings.PGHOST=x", "workers[0].name=Upper"):
        with pytest.raises(AssertionError, match="values don't meet the specifications"):
            documents(value)


def test_compose_runs_commands_and_settings_that_exist() -> None:
    """The same of the compose file; nothing of it is open beyond loopback, and no secret stands in it."""
    services = compose()["services"]
    for name in ("migrate", "server", "worker"):
        assert_is_a_command(services[name]["command"])
        assert services[name]["environment"].keys() <= VARIABLES
        assert all(str(value).count(":?") == 1 for value in services[name]["environment"].values())
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    for mount in services["worker"]["volumes"]:
        assert (ROOT / "deploy" / mount.partition(":")[0]).is_dir()
