"""The manifests in docs/kubernetes.yaml: valid for the API, and as confined as they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from runner.app.worker_config import read_config
from runner.core.urls import is_loopback

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads(Path(__file__).with_name("api-1.37.schema.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    text = (DOCS / "kubernetes.yaml").read_text("utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_the_api_accepts_them(manifests: dict[str, Any]):
    assert set(manifests) == {"ConfigMap", "StatefulSet", "PodDisruptionBudget"}
    for kind, manifest in manifests.items():
        schema = {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}
        problems = jsonschema_rs.validator_for(schema).iter_errors(manifest)
        assert [(each.instance_path, each.message) for each in problems] == []


def test_a_field_that_the_api_does_not_know_is_noticed(manifests: dict[str, Any]):
    manifest = json.loads(json.dumps(manifests["StatefulSet"]))
    manifest["spec"]["template"]["spec"]["containers"][0]["readonlyRootFilesystem"] = True
    assert not jsonschema_rs.validator_for(SCHEMA).is_valid(manifest)


def test_a_worker_is_confined_and_its_secrets_are_files(manifests: dict[str, Any]):
    pod = manifests["StatefulSet"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "env" not in container
    assert "Secret" not in manifests
    secrets = [each["secret"] for each in pod["volumes"] if "secret" in each]
    assert [each["defaultMode"] for each in secrets] == [0o440, 0o440]


def test_the_worker_finds_what_its_configuration_names(manifests: dict[str, Any], tmp_path: Path):
    """Its places are mounted and its health is asked where it answers."""
    path = tmp_path / "worker.yaml"
    path.write_text(manifests["ConfigMap"]["data"]["worker.yaml"])
    config = read_config(path, None)
    pod = manifests["StatefulSet"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"] for each in pod["volumes"]}
    claims = {
        each["metadata"]["name"]
        for each in manifests["StatefulSet"]["spec"]["volumeClaimTemplates"]
    }
    assert set(mounts.values()) == volumes | claims
    named = re.findall(r"/run/secrets/[a-z]+", path.read_text())
    assert set(named) <= set(mounts)
    for folder in (config.report_dir, config.state_dir):
        assert mounts[str(Path(str(folder)).parent)] in claims
    assert config.health is not None
    host, port = config.health
    assert is_loopback(host)
    probe = container["livenessProbe"]["exec"]["command"][-1]
    assert f"http://{host}:{port}/healthz" in probe
    compile(probe, "probe", "exec")
