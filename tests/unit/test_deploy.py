"""The production stack as far as it can be checked without a container engine: files, pins, secrets, ports, names."""

from __future__ import annotations

import http.server
import importlib.util
import json
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import hypertape
from hypertape.settings import Settings, variable_of

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "deploy").rglob("*.sh"))
LONG_RUNNING = sorted(set(SERVICES) - {"init"})
SECRET = re.compile(r"(PASSWORD|SECRET|KEY|TOKEN)$")
PINNED = re.compile(r"^[a-z0-9./_-]+:v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?$")
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?([^}]*)\}")


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def settings_of(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def variables() -> dict[str, tuple[str, str]]:
    """Every `${NAME…}` of the compose file with its operator and what follows it."""
    found = {
        name: (operator, rest) for name, operator, rest in VARIABLE.findall(COMPOSE_TEXT) if name != "NAME"
    }
    return found | {secret["environment"]: (":-", "") for secret in COMPOSE["secrets"].values()}


def test_compose_file_follows_the_compose_specification() -> None:
    result = validate(ROOT / "docker-compose.yaml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_specification_refuses_a_misspelt_key(tmp_path: Path) -> None:
    spoiled = tmp_path / "docker-compose.yaml"
    spoiled.write_text(COMPOSE_TEXT.replace("healthcheck:", "healthchek:"), encoding="utf-8")
    assert validate(spoiled).returncode != 0


@pytest.mark.parametrize("service", SERVICES)
def test_mounts_exist_and_volumes_are_declared(service: str) -> None:
    for mount in SERVICES[service].get("volumes", ()):
        source = VARIABLE.sub(lambda found: found[3], mount).split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), f"{service} mounts {source}, which does not exist"
        else:
            assert source in COMPOSE["volumes"], f"{service} mounts the undeclared volume {source}"


@pytest.mark.parametrize("service", SERVICES)
def test_image_is_pinned(service: str) -> None:
    assert PINNED.match(SERVICES[service]["image"])


def test_our_image_carries_the_version() -> None:
    ours = {service["image"] for service in SERVICES.values() if "build" in service}
    assert ours == {f"hypertape:{hypertape.__version__}"}


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("timescale/timescaledb:2.29.2-pg18", True),
        ("timescale/timescaledb:latest-pg18", False),
        ("timescale/timescaledb", False),
        ("python:3.12-slim-bookworm", False),  # moves with every patch release
    ],
)
def test_the_pin_rule_itself(image: str, pinned: bool) -> None:
    assert bool(PINNED.match(image)) is pinned


def test_no_secret_has_a_default() -> None:
    secrets = {name: operator for name, (operator, _) in variables().items() if SECRET.search(name)}
    assert secrets
    assert set(secrets.values()) == {":?"}, secrets


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_written_down(service: str) -> None:
    for name, value in settings_of(service).items():
        if SECRET.search(name):
            assert VARIABLE.fullmatch(value), f"{service}: {name} holds a literal value"


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_bound_to_loopback(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert str(port).startswith("127.0.0.1:"), f"{service} publishes {port} on every address"


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_service_restarts_and_reports_its_health(service: str) -> None:
    assert SERVICES[service]["restart"] == "unless-stopped"
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_limited_and_can_gain_nothing(service: str) -> None:
    limits = SERVICES[service]["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} <= limits.keys()
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


def test_profiles_are_those_that_are_told() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert profiles == {"celery", "stream", "monitoring", "backup"}


def test_nobody_but_the_schema_goes_past_the_pooler() -> None:
    by_pooler = {name for name, value in settings_of("scheduler").items() if "@pgbouncer:6432/" in value}
    assert by_pooler == {"AIRFLOW_CONN_HYPERTAPE_DB", "AIRFLOW_CONN_HYPERTAPE_READER"}
    assert "@warehouse:5432/" in settings_of("init")["HYPERTAPE_DATABASE_URL"]


def test_env_example_explains_every_variable_and_no_other() -> None:
    documented = set(re.findall(r"^#?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE))
    assert documented == set(variables())


def test_env_example_shows_the_defaults_and_no_secret() -> None:
    for name, (operator, rest) in variables().items():
        line = f"{name}=" if operator == ":?" else f"#{name}={rest}"
        assert re.search(rf"^{re.escape(line)}$", ENV_EXAMPLE, re.MULTILINE), (
            f".env.example should say {line}"
        )


OF_ANY_COMPONENT = ("AIRFLOW__CORE__MP_START_METHOD",)
"""Options of [core] that a component's own section may say for itself."""


def airflow_options() -> set[str]:
    """AIRFLOW__SECTION__OPTION for every option of the installed Airflow, read without importing it."""
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "config_templates" / "config.yml").read_text(encoding="utf-8")
    sections = [*yaml.safe_load(text).items(), *celery_sections().items()]
    of_components = {"AIRFLOW__SCHEDULER__MP_START_METHOD"}  # each component's own, before [core]; in no list
    return of_components | {
        f"AIRFLOW__{section}__{option}".upper() for section, body in sections for option in body["options"]
    }


def celery_sections() -> dict[str, Any]:
    """The same of the provider that has the CeleryExecutor."""
    spec = importlib.util.find_spec("airflow.providers.celery")
    assert spec is not None
    assert spec.origin is not None
    about = runpy.run_path(str(Path(spec.origin).parent / "get_provider_info.py"))["get_provider_info"]()
    sections: dict[str, Any] = about["config"]
    return sections


def test_airflow_settings_are_options_of_the_locked_airflow() -> None:
    used = {name for service in SERVICES for name in settings_of(service) if name.startswith("AIRFLOW__")}
    used |= set(re.findall(r"AIRFLOW__\w+", DOCKERFILE))
    assert used
    by_component = {
        name.replace("CORE", part) for part in ("SCHEDULER", "TRIGGERER") for name in OF_ANY_COMPONENT
    }
    assert used <= airflow_options() | by_component


def test_hypertape_settings_are_fields_of_settings() -> None:
    used = {name for name in settings_of("scheduler") if name.startswith("HYPERTAPE_")}
    used |= set(re.findall(r"HYPERTAPE_\w+", DOCKERFILE))
    assert used
    assert used <= {f"HYPERTAPE_{field}".upper() for field in Settings.model_fields}


def test_dockerfile_starts_from_a_pinned_image_and_drops_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases
    assert all(PINNED.match(base) for base in bases)
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["hypertape"]


def test_dockerfile_passes_its_linter() -> None:
    command = [
        Path(sys.executable).with_name("hadolint"),
        "--failure-threshold",
        "warning",
        ROOT / "Dockerfile",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_dockerfile_copies_what_exists_and_the_ignore_file_lets_it_through() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line[:1] == "!"
    }
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copies for source in line.split()}
    assert sources == allowed
    assert [source for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_parses_and_is_executable(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(ROOT / script)], check=True)


@contextmanager
def health_endpoint(answer: dict[str, Any]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        ({"scheduler": {"status": "healthy"}}, True),
        ({"scheduler": {"status": "unhealthy"}}, False),
        ({"scheduler": {"status": None}}, False),  # never started
        ({"scheduler": None}, False),
        ({"triggerer": {"status": "healthy"}}, False),  # another component's health is not ours
    ],
)
def test_health_probe(answer: dict[str, Any], healthy: bool) -> None:
    is_healthy = runpy.run_path(str(ROOT / "deploy" / "healthy.py"))["is_healthy"]
    with health_endpoint(answer) as url:
        assert is_healthy("scheduler", url) is healthy


@pytest.mark.parametrize("path", ["/api/v2/monitor/health", "/nowhere"], ids=["answered", "refused"])
def test_a_server_answers_that_refuses(path: str) -> None:
    does = runpy.run_path(str(ROOT / "deploy" / "healthy.py"))["answers"]
    with health_endpoint({}) as url:
        assert does(f"{url}{path}")


# --- Kubernetes


VALUES_TEXT = (ROOT / "deploy" / "kubernetes" / "values.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = yaml.safe_load(VALUES_TEXT)


def test_the_values_are_of_this_version() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert VALUES["images"]["airflow"]["tag"] == hypertape.__version__
    assert f"apache-airflow=={VALUES['airflowVersion']}\n" in requirements


def test_the_values_name_settings_that_exist() -> None:
    named = {each["name"] for each in VALUES["env"] if each["name"].startswith("HYPERTAPE_")}
    assert named <= {variable_of(field) for field in Settings.model_fields}
    assert {"HYPERTAPE_LANDING_URL", "HYPERTAPE_STATE_DIR"} <= named


def test_every_host_sees_the_landing_area_of_the_values() -> None:
    (landing,) = (each["value"] for each in VALUES["env"] if each["name"] == "HYPERTAPE_LANDING_URL")
    assert landing.startswith("s3://")


def test_no_secret_stands_in_the_values() -> None:
    """Only names of secrets, which end in SecretName."""
    assert not [each for each in VALUES["env"] if SECRET.search(each["name"])]
    assert not re.search(r"(?i)password|://[^/\s]+:[^@\s…]+@", re.sub(r"#.*", "", VALUES_TEXT))
    named = [name for name in VALUES if name.endswith("SecretName")]
    assert all(re.fullmatch(r"[a-z0-9-]+", VALUES[name]) for name in named)
    assert len(named) == 3


def test_what_the_chart_writes_into_pods_as_text_is_what_a_pod_takes() -> None:
    """`extraEnvFrom` is a text that the chart pastes; a quantity that Kubernetes cannot read fails an upgrade late."""
    sources = yaml.safe_load(VALUES["extraEnvFrom"])
    assert [list(each) for each in sources] == [["secretRef"]]
    assert all(re.fullmatch(r"[a-z0-9-]+", each["secretRef"]["name"]) for each in sources)
    assert all(set(each) == {"name", "value"} and isinstance(each["value"], str) for each in VALUES["env"])
    quantities = [
        str(quantity)
        for part in VALUES.values()
        if isinstance(part, dict)
        for asked in part.get("resources", {}).values()
        for quantity in asked.values()
    ]
    assert len(quantities) >= 9
    assert all(re.fullmatch(r"[0-9]+(\.[0-9]+)?(m|Mi|Gi)?", quantity) for quantity in quantities)


def pod_of_the_values() -> dict[str, Any]:
    """A pod with what the values put into one: a container for each part that has resources of its own."""
    image = VALUES["images"]["airflow"]
    resources = {
        name: part["resources"]
        for name, part in VALUES.items()
        if isinstance(part, dict) and "resources" in part
    }
    containers = [
        {
            "name": name.lower(), "image": f"{image['repository']}:{image['tag']}", "env": VALUES["env"],
            "imagePullPolicy": image["pullPolicy"], "envFrom": yaml.safe_load(VALUES["extraEnvFrom"]),
            "resources": asked,
        }
        for name, asked in resources.items()
    ]  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod"},
        "spec": {"containers": containers},
    }


@pytest.mark.parametrize("version", ["1.30", "1.36"])
def test_a_pod_of_the_values_follows_kubernetes_schema(version: str) -> None:
    kubernetes_validate.validate(pod_of_the_values(), version, strict=True)


def test_kubernetes_schema_refuses_a_misspelt_key() -> None:
    pod = pod_of_the_values()
    pod["spec"]["containers"][0]["envFrom"][0]["secretReff"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="secretReff"):
        kubernetes_validate.validate(pod, "1.36", strict=True)


def test_the_configuration_in_the_values_is_airflows() -> None:
    """Airflow ignores an option that it does not know."""
    named = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, options in VALUES["config"].items()
        for option in options
    }
    named |= {each["name"] for each in VALUES["env"] if each["name"].startswith("AIRFLOW__")}
    assert named - airflow_options() == set()
