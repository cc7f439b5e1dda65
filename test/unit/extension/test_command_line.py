"""What the command line is taken for, and how it is refused."""

from pathlib import Path

import pytest

from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.errors import BadInput
from cri_resmgr.kube.lease_records import Terms
from cri_resmgr.kube.resources import Ref
from extension.cli import main, settings_of
from extension.flags import parser
from extension.images import AGENT, Wanted, find

IN_SEED = ["--leader-election-namespace=garden-x"]


def settings(*arguments: str, environment=None):
    environment = environment or {}
    return settings_of(parser(environment).parse_args(arguments), environment)


def test_defaults_are_gardeners() -> None:
    found = settings(*IN_SEED)
    assert found.lead is not None
    assert found.lead.ref == Ref("garden-x", "cri-resmgr-leader-election")
    assert found.lead.terms == Terms(duration_s=15, renew_deadline_s=10.0, retry_s=2.0, request_deadline_s=4.0)
    assert (found.heartbeat_namespace, found.heartbeat_interval_s) == ("garden-x", 30)
    assert found.health_endpoint == Endpoint(port=8081)
    assert found.metrics_endpoint == Endpoint(port=8080)
    assert found.kubeconfig is None
    assert found.refresh_s == 0


def test_namespaces_come_from_the_environment_that_the_chart_sets() -> None:
    environment = {"EXTENSION_CONFIGMAP_NAMESPACE": "extension-a", "LEADER_ELECTION_NAMESPACE": "extension-b"}
    found = settings(environment=environment)
    assert found.controller.namespace == "extension-a"
    assert found.lead is not None
    assert found.lead.ref.namespace == found.heartbeat_namespace == "extension-b"
    alone = settings(environment={"EXTENSION_CONFIGMAP_NAMESPACE": "extension-a"})
    assert alone.heartbeat_namespace == "extension-a"


def test_without_leader_election_a_heartbeat_still_needs_its_place() -> None:
    found = settings("--leader-election=false", "--heartbeat-namespace=extension-a")
    assert (found.lead, found.heartbeat_namespace) == (None, "extension-a")
    with pytest.raises(BadInput, match="--heartbeat-namespace"):
        settings("--leader-election", "false")


def test_a_lease_without_a_place_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="--leader-election-namespace"):
        settings()


def test_times_of_a_lease_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="shorter"):
        settings(*IN_SEED, "--leader-election-lease-duration=5s")


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [(":1234", Endpoint(port=1234)), ("[::1]:80", Endpoint(host="::1", port=80)), ("0", None), ("", None)],
)
def test_addresses_are_gos(text, endpoint) -> None:
    assert settings(*IN_SEED, f"--metrics-bind-address={text}").metrics_endpoint == endpoint


@pytest.mark.parametrize(
    "wrong",
    [
        ("--metrics-bind-address=8080",),
        ("--health-bind-address=:99999",),
        ("--leader-election=maybe",),
        ("--leader-election-retry-period=2",),
        ("--heartbeat-renew-interval-seconds=0",),
        ("--log-format=xml",),
        ("--log-level=loud",),
        ("--no-such-flag",),
        ("word",),
    ],
)
def test_what_cannot_be_read_ends_with_2(wrong, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*IN_SEED, *wrong])
    assert ended.value.code == 2
    assert wrong[0].split("=")[0].lstrip("-") in capsys.readouterr().err


def test_a_kubeconfig_that_is_not_there_ends_with_2_and_says_which(capsys, monkeypatch) -> None:
    monkeypatch.setattr("cri_resmgr.observe.logging.configure", lambda _: None)
    assert main([*IN_SEED, "--kubeconfig=/nowhere/kubeconfig"]) == 2
    assert "/nowhere/kubeconfig" in capsys.readouterr().err


def test_an_image_vector_is_overwritten_by_the_file_that_the_environment_names(tmp_path: Path) -> None:
    over = tmp_path / "images.yaml"
    over.write_text(f"images: [{{name: {AGENT}, repository: example.com/agent, tag: v9}}]")
    found = settings(*IN_SEED, environment={"IMAGEVECTOR_OVERWRITE": str(over)})
    assert find(found.images, AGENT, Wanted()) == "example.com/agent:v9"
    over.write_text("nothing")
    with pytest.raises(BadInput, match=str(over)):
        settings(*IN_SEED, environment={"IMAGEVECTOR_OVERWRITE": str(over)})


def test_pull_secrets_are_files_as_a_kubelet_mounts_them(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "registry").write_text('{"auths": {}}')
    found = settings(*IN_SEED, f"--pull-secrets-directory={tmp_path}").controller.pull_secrets
    assert [(secret.name, secret.docker_config_json) for secret in found] == [("registry", '{"auths": {}}')]
    with pytest.raises(BadInput, match="cannot be read"):
        settings(*IN_SEED, "--pull-secrets-directory=/nowhere")
