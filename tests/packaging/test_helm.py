"""The Helm chart: what its two set-ups become, rendered by Helm itself (as a library, or the one on PATH), and that
its values are those it documents."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from servers import REPOSITORY

try:
    from helm_python.chart import Chart
    from helm_python.errors import HelmError
except ImportError:
    Chart = None

CHART = REPOSITORY / "packaging/helm/tidelock"
RELEASE = "states"
SEVERAL = {
    "replicas": 3,
    "root": {"secret": "root"},
    "keyring": {"secret": "keyring"},
    "postgresql": {"secret": "postgresql"},
    "tls": {"secret": "tls"},
    "metrics": {"tokenSecret": "token", "serviceMonitor": {"enabled": True}},
    "persistence": {"enabled": False},
    "settings": {"BLOBS": "s3://bodies"},
    "ingress": {"enabled": True, "host": "s3.test", "tlsSecret": "cert", "className": "nginx"},
}


needs_helm = pytest.mark.skipif(
    Chart is None and shutil.which("helm") is None, reason="there is no Helm"
)


class Refused(Exception):
    """The chart has refused its values."""


def manifests(values: dict | None) -> str:
    """What Helm makes of the templates."""
    if Chart is not None:
        try:
            rendered = Chart.load(CHART).render(values, name=RELEASE, namespace="infra")
        except HelmError as error:
            raise Refused(str(error)) from error
        return "\n---\n".join(text for path, text in rendered.items() if path.endswith(".yaml"))
    command = ["helm", "template", RELEASE, CHART, "--namespace", "infra", "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def render(values: dict | None = None) -> dict[str, dict]:
    """Every object by its kind; of services by kind and name."""
    documents = [it for it in yaml.safe_load_all(manifests(values)) if it]
    return {name_of(it): it for it in documents}


def name_of(document: dict) -> str:
    """Its kind; there are two services."""
    kind = document["kind"]
    return f"{kind}/{document['metadata']['name']}" if kind == "Service" else kind


def container(objects: dict) -> dict:
    """The container of the server."""
    (only,) = objects["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    return only


def variables(objects: dict) -> dict[str, str]:
    """Its environment."""
    return {it["name"]: it.get("value") for it in container(objects)["env"]}


@needs_helm
def test_one_server_has_a_volume():
    objects = render()
    assert set(objects) == {"StatefulSet", f"Service/{RELEASE}", f"Service/{RELEASE}-pods", "ServiceAccount"}
    spec = objects["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    assert "volumes" not in spec["template"]["spec"] or not spec["template"]["spec"]["volumes"]
    assert variables(objects)["TIDELOCK_ALLOW_PLAIN_HTTP"] == "true"
    assert container(objects)["image"].endswith(":0.1.0")


@needs_helm
def test_several_servers_share_postgresql():
    objects = render(SEVERAL)
    spec = objects["StatefulSet"]["spec"]
    assert spec["replicas"] == 3 and "volumeClaimTemplates" not in spec
    shown = variables(objects)
    files = ("META", "ROOT_ACCESS_KEY", "ROOT_SECRET_KEY", "METRICS_TOKEN")
    mounts = {it["mountPath"] for it in container(objects)["volumeMounts"]}
    for name in [shown[f"TIDELOCK_{file}_FILE"] for file in files]:
        assert name.rsplit("/", 1)[0] in mounts, name
    assert shown["CREDENTIALS_DIRECTORY"] in mounts
    assert shown["TIDELOCK_BLOBS"] == "s3://bodies"
    assert "TIDELOCK_ALLOW_PLAIN_HTTP" not in shown
    for volume in spec["template"]["spec"]["volumes"]:
        # The server refuses a keyring that others can read.
        assert "emptyDir" in volume or volume["secret"]["defaultMode"] == 0o440, volume
    assert objects["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    (endpoint,) = objects["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["path"] == "/_/metrics" and endpoint["scheme"] == "https"
    assert objects["Ingress"]["spec"]["rules"][0]["host"] == "s3.test"


@needs_helm
@pytest.mark.parametrize("missing", ["postgresql", "keyring"])
def test_what_cannot_be_served_is_refused(missing):
    with pytest.raises(Refused, match=f"need {missing}.secret"):
        render({key: value for key, value in SEVERAL.items() if key != missing})


@needs_helm
@pytest.mark.parametrize("values", [None, SEVERAL], ids=["one", "several"])
def test_pods_are_probed_and_have_no_rights(values):
    objects = render(values)
    server = container(objects)
    scheme = "HTTPS" if values else "HTTP"
    for probe, page in [("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")]:
        assert server[probe]["httpGet"] == {"path": f"/_/health/{page}", "port": "s3", "scheme": scheme}
    assert server["securityContext"]["readOnlyRootFilesystem"] is True
    assert server["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    pod = objects["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert str(pod["securityContext"]["runAsUser"]) in (REPOSITORY / "packaging/oci/Containerfile").read_text()
    # The server drains for 25 s.
    assert pod["terminationGracePeriodSeconds"] > 30
    labels = objects["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    for name in ("StatefulSet", f"Service/{RELEASE}", f"Service/{RELEASE}-pods"):
        selector = objects[name]["spec"]["selector"]
        assert (selector.get("matchLabels") or selector).items() <= labels.items()


def test_templates_use_values_that_are_documented():
    values = (CHART / "values.yaml").read_text()
    known = yaml.safe_load(values)
    for template in (CHART / "templates").iterdir():
        for path in re.findall(r"\.Values\.([A-Za-z.]+)", template.read_text()):
            at = known
            for name in path.split("."):
                # What is in `settings` is the user's.
                assert name in at or at is known["settings"], f"{template.name}: .Values.{path}"
                at = at.get(name)


def test_settings_are_those_of_serve():
    settings = (REPOSITORY / "docs/operating.md").read_text()
    text = (CHART / "values.yaml").read_text()
    block = text.split("\nsettings:\n", 1)[1].split("\n\n", 1)[0]
    names = re.findall(r"^  (?:# )?([A-Z_]+):", block, re.MULTILINE)
    assert len(names) > 3
    template = (CHART / "templates/statefulset.yaml").read_text()
    names += re.findall(r"name: TIDELOCK_([A-Z_]+)", template)
    for name in names:
        assert f"`TIDELOCK_{name}`" in settings, name
