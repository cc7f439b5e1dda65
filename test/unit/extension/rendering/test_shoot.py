"""What a shoot gets, property by property; who gets it is in test_nodes, with which configuration in test_configs."""

import base64
import json
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.errors import BadInput
from extension.rendering import Installation, objects
from extension.rendering.inputs import Certificate, ImageSet, PullSecret, Selection
from unit.extension.rendering.installations import EVERYTHING, IMAGES, daemon_set, made, pod, selections

CRITICAL = "node.gardener.cloud/critical-component"
CERTIFICATE = Certificate("certificate", "key", "authority")
ARCHITECTURES = (
    ImageSet("i:amd", "a:amd", "w:amd", ("amd64",)),
    ImageSet("i:arm", "a:arm", "w:arm", ("arm64",)),
)


def daemon_sets(**said: object) -> dict[str, dict]:
    return {name: thing for (kind, name), thing in made(**said).items() if kind == "DaemonSet"}


def pods(installation: Installation) -> list[dict]:
    return [pod(thing) for thing in objects(installation) if "template" in thing.get("spec", {})]


def containers(spec: dict) -> list[dict]:
    return [*spec.get("initContainers", []), *spec["containers"]]


UNINSTALL = Installation(images=(IMAGES,), form="uninstall", pull_secrets=EVERYTHING.pull_secrets)
BOTH = pytest.mark.parametrize("installation", [EVERYTHING, UNINSTALL], ids=["install", "uninstall"])


# -- install


def test_a_shoot_gets_installation_removal_and_agent():
    assert set(daemon_sets()) == {"cri-resmgr-installation", "cri-resmgr-removal", "cri-resmgr-agent"}


@BOTH
def test_the_definition_of_adjustments_is_the_one_that_the_agent_knows(installation):
    (found,) = (thing for thing in objects(installation) if thing["kind"] == "CustomResourceDefinition")
    assert found == yaml.safe_load(Path("examples/adjustment-schema.yaml").read_text())


def test_all_is_in_kube_system_or_of_the_whole_cluster():
    spaces = {thing["metadata"].get("namespace", thing["kind"]) for thing in objects(EVERYTHING)}
    assert spaces <= {
        "kube-system", "ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "CustomResourceDefinition",
    }  # fmt: skip


@BOTH
def test_everything_says_whose_it_is(installation):
    for thing in objects(installation):
        if thing["kind"] != "CustomResourceDefinition":
            assert thing["metadata"]["labels"]["origin"] == "cri-resmgr-extension", thing["metadata"]["name"]


def test_a_new_node_waits_for_the_installation_and_for_nothing_else_of_ours():
    for name, thing in daemon_sets().items():
        for labels in (thing["metadata"]["labels"], thing["spec"]["template"]["metadata"]["labels"]):
            assert (labels.get(CRITICAL) == "true") is (name == "cri-resmgr-installation"), name


def test_the_installer_gets_the_host_the_bundle_and_the_configuration():
    (installation, _) = pod(daemon_set("cri-resmgr-installation"))["containers"]
    assert installation["command"] == [
        "cri-resmgr-installer", "run", "--host-root=/host", "--bundle=/bundle", "--config-dir=/config",
    ]  # fmt: skip
    mounts = {mount["mountPath"]: mount for mount in installation["volumeMounts"]}
    assert mounts["/host"]["mountPropagation"] == "HostToContainer"
    assert mounts["/config"]["readOnly"] is True


def test_the_installer_is_judged_by_readiness_and_never_killed_for_it():
    for name in ("cri-resmgr-installation", "cri-resmgr-removal"):
        for container in containers(pod(daemon_set(name))):
            assert "livenessProbe" not in container


def test_a_missing_configuration_keeps_no_pod_from_starting():
    volumes = {volume["name"]: volume for volume in pod(daemon_set("cri-resmgr-installation"))["volumes"]}
    sources = volumes["configs"]["projected"]["sources"]
    assert [source["configMap"]["optional"] for source in sources] == [True, True]
    assert [source["configMap"]["name"] for source in sources] == [
        "cri-resmgr-config.fallback", "cri-resmgr-config.force",
    ]  # fmt: skip


def test_a_changed_file_makes_new_installer_pods_and_a_configuration_for_the_agent_does_not():
    def annotations(**configs: str) -> object:
        return daemon_set("cri-resmgr-installation", configs=configs)["spec"]["template"]["metadata"]["annotations"]

    assert annotations(force="a: 1") != annotations(force="a: 2")
    assert annotations(default="policy: {}") == annotations()


@pytest.mark.parametrize("value", [1, 3, "25%"])
def test_a_roll_out_is_as_wide_as_asked_for(value):
    assert daemon_set("cri-resmgr-installation", max_unavailable=value)["spec"]["updateStrategy"] == {
        "rollingUpdate": {"maxUnavailable": value}
    }


# -- uninstall


def test_the_uninstall_form_leaves_nothing_that_works_on_a_node():
    assert {(thing["kind"], thing["metadata"]["name"]) for thing in objects(UNINSTALL)} == {
        ("DaemonSet", "cri-resmgr-installation"), ("Secret", "mirror"),
        ("CustomResourceDefinition", "adjustments.criresmgr.intel.com"),
        ("ServiceAccount", "cri-resmgr-extension"), ("Role", "cri-resmgr-extension"),
        ("RoleBinding", "cri-resmgr-extension"),
    }  # fmt: skip


@given(selection=selections)
def test_the_uninstall_form_goes_to_all_nodes_at_once_whatever_was_selected(selection):
    chosen = daemon_set("cri-resmgr-installation", form="uninstall", selection=selection)
    assert pod(chosen)["affinity"] == pod(daemon_set("cri-resmgr-installation", form="uninstall"))["affinity"]
    assert chosen["spec"]["updateStrategy"] == {"rollingUpdate": {"maxUnavailable": "100%"}}


@pytest.mark.parametrize(
    ("name", "form"), [("cri-resmgr-installation", "uninstall"), ("cri-resmgr-removal", "install")]
)
def test_a_removing_pod_is_ready_only_when_the_removal_has_succeeded(name, form):
    spec = pod(daemon_set(name, form=form))
    assert [each["command"][:2] for each in spec["initContainers"]] == [["cri-resmgr-installer", "uninstall"]]
    assert [each["command"][-1] for each in spec["containers"]] == ["--mode=uninstall"]


def test_a_new_node_does_not_wait_for_a_removal():
    thing = daemon_set("cri-resmgr-installation", form="uninstall")
    assert CRITICAL not in thing["metadata"]["labels"] | thing["spec"]["template"]["metadata"]["labels"]


def test_the_uninstall_form_needs_no_valid_configuration():
    with pytest.raises(BadInput):
        objects(Installation(images=(IMAGES,), configs={"default": "["}))
    assert objects(Installation(images=(IMAGES,), configs={"default": "["}, form="uninstall"))


def test_the_uninstall_form_takes_the_place_of_the_installation():
    selectors = [
        daemon_set("cri-resmgr-installation", form=form)["spec"]["selector"] for form in ("install", "uninstall")
    ]
    assert selectors[0] == selectors[1]


# -- pods


@BOTH
def test_every_daemon_runs_on_tainted_nodes_and_is_not_evicted(installation):
    for thing in objects(installation):
        if thing["kind"] == "DaemonSet":
            spec = pod(thing)
            assert spec["priorityClassName"] == "system-node-critical"
            assert spec["tolerations"] == [
                {"effect": "NoSchedule", "operator": "Exists"}, {"effect": "NoExecute", "operator": "Exists"},
            ]  # fmt: skip


@BOTH
def test_only_what_changes_the_host_is_privileged(installation):
    for spec in pods(installation):
        for container in containers(spec):
            context = container["securityContext"]
            changes_host = container["command"][1:2] in (["run"], ["uninstall"])
            assert context.get("privileged", False) is changes_host, container["name"]
            if not changes_host:
                assert context["capabilities"]["drop"] == ["ALL"]
                assert context["allowPrivilegeEscalation"] is False
                assert context["readOnlyRootFilesystem"] is True
                seccomp = {**spec.get("securityContext", {}), **context}["seccompProfile"]
                assert seccomp == {"type": "RuntimeDefault"}


def test_the_container_that_shows_the_journal_may_change_nothing():
    (_, journal) = pod(daemon_set("cri-resmgr-installation"))["containers"]
    assert journal["command"] == ["cri-resmgr-installer", "logs", "--host-root=/host"]
    assert all(mount["readOnly"] for mount in journal["volumeMounts"])
    assert journal["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_CHROOT"]}


@BOTH
def test_only_the_agent_has_a_token(installation):
    for spec in pods(installation):
        agent = spec["containers"][0]["name"] == "agent"
        assert spec["automountServiceAccountToken"] is agent
        assert ("serviceAccountName" in spec) is agent


def test_the_agent_reaches_what_the_network_policies_of_kube_system_deny():
    labels = daemon_set("cri-resmgr-agent")["spec"]["template"]["metadata"]["labels"]
    allowed = {key.rpartition("/")[2] for key, value in labels.items() if value == "allowed"}
    assert allowed == {"to-apiserver", "to-dns", "from-seed"}


@BOTH
def test_every_container_says_what_memory_it_needs_and_none_is_throttled(installation):
    for spec in pods(installation):
        for container in containers(spec):
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert set(container["resources"]["limits"]) == {"memory"}


@BOTH
def test_selectors_find_their_own_pods_and_no_others(installation):
    templates = [thing for thing in objects(installation) if "template" in thing.get("spec", {})]
    for thing in templates:
        wanted = thing["spec"]["selector"]["matchLabels"].items()
        found = [
            other["metadata"]["name"]
            for other in templates
            if wanted <= other["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [thing["metadata"]["name"]]


# -- images


def test_images_that_differ_by_architecture_have_daemon_sets_of_their_own():
    found = daemon_sets(images=ARCHITECTURES)
    assert {name for name in found if "arm" in name} == {
        "cri-resmgr-installation-arm64", "cri-resmgr-removal-arm64", "cri-resmgr-agent-arm64",
    }  # fmt: skip
    for name, thing in found.items():
        suffix = "arm" if "arm" in name else "amd"
        assert {each["image"].rpartition(":")[2] for each in containers(pod(thing))} == {suffix}
        assert f"{suffix}64" in json.dumps(pod(thing)["affinity"])
    for one, other in combinations(found.values(), 2):
        assert one["spec"]["selector"] != other["spec"]["selector"]


def test_a_webhook_runs_where_its_image_does():
    spec = pod(made(images=ARCHITECTURES, webhook=CERTIFICATE)["Deployment", "cri-resmgr-webhook"])
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert spec["containers"][0]["image"] == "w:amd"


@BOTH
def test_pull_secrets_are_made_and_used_by_every_pod(installation):
    by_name = {thing["metadata"]["name"]: thing for thing in objects(installation) if thing["kind"] == "Secret"}
    assert json.loads(base64.b64decode(by_name["mirror"]["data"][".dockerconfigjson"])) == {"auths": {}}
    assert by_name["mirror"]["type"] == "kubernetes.io/dockerconfigjson"
    for spec in pods(installation):
        assert spec["imagePullSecrets"] == [{"name": "mirror"}]


def test_the_order_of_pull_secrets_does_not_matter():
    secrets = (PullSecret("a", "1"), PullSecret("b", "2"))
    assert made(pull_secrets=secrets) == made(pull_secrets=secrets[::-1])


# -- webhook


def test_there_is_no_webhook_unless_it_is_wanted():
    assert not [name for kind, name in made() if "webhook" in name or "Webhook" in kind]


def test_the_webhook_serves_with_the_certificate_that_the_api_server_is_told_of():
    found = made(webhook=CERTIFICATE)
    (hook,) = found["MutatingWebhookConfiguration", "cri-resmgr"]["webhooks"]
    assert base64.b64decode(hook["clientConfig"]["caBundle"]) == b"authority"
    data = found["Secret", "cri-resmgr-webhook"]["data"]
    assert {key: base64.b64decode(value) for key, value in data.items()} == {
        "tls.crt": b"certificate",
        "tls.key": b"key",
    }


def test_a_webhook_that_is_away_keeps_no_pod_from_being_made():
    (hook,) = made(webhook=CERTIFICATE)["MutatingWebhookConfiguration", "cri-resmgr"]["webhooks"]
    assert hook["failurePolicy"] == "Ignore"
    assert hook["namespaceSelector"]["matchExpressions"] == [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
    ]


@given(
    selection=selections,
    webhook=st.booleans(),
    max_unavailable=st.integers(1, 50) | st.just("10%"),
    form=st.sampled_from(["install", "uninstall"]),
)
def test_every_installation_can_be_rendered_and_always_gives_the_same(selection, webhook, max_unavailable, form):
    installation = Installation(
        images=(IMAGES,),
        form=form,
        selection=selection,
        webhook=CERTIFICATE if webhook else None,
        max_unavailable=max_unavailable,
    )
    turned = Selection(
        selection.pools[::-1], selection.excluded_pools[::-1], dict(reversed(selection.node_labels.items()))
    )
    again = Installation(
        images=(IMAGES,),
        form=form,
        selection=turned,
        webhook=CERTIFICATE if webhook else None,
        max_unavailable=max_unavailable,
    )
    assert objects(installation) == objects(again)
