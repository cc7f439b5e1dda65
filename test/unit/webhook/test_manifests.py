"""What the manifests say to each other, to the program and to the script that makes certificates."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cri_resmgr.cli import goflags
from cri_resmgr.cli.webhook import PROGRAM, Flags
from cri_resmgr.webhook import answering, certificates, running, serving
from unit.webhook.served import serving as served

REPOSITORY = Path(__file__).parents[3]
EXAMPLES = REPOSITORY / "examples" / "webhook"


def loaded(*path: str) -> dict[tuple[str, str], Any]:
    """The objects of a file by kind and name."""
    documents = yaml.safe_load_all((EXAMPLES.joinpath(*path)).read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.fixture(name="deployed")
def _deployed():
    return loaded("webhook-deployment.yaml")


@pytest.fixture(name="webhook")
def _webhook():
    configuration = loaded("mutating-webhook-config.yaml")["MutatingWebhookConfiguration", "cri-resmgr"]
    (only,) = configuration["webhooks"]
    return only


@pytest.fixture(name="pod")
def _pod(deployed):
    return deployed["Deployment", "cri-resmgr-webhook"]["spec"]["template"]


@pytest.fixture(name="container")
def _container(pod):
    (only,) = pod["spec"]["containers"]
    return only


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "certificates"
    subprocess.run(
        [REPOSITORY / "hacks" / "make-webhook-certificate", directory, "90"], check=True, capture_output=True
    )
    return directory


def test_the_configuration_can_never_hold_up_the_cluster(webhook):
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["timeoutSeconds"] <= 3
    assert webhook["sideEffects"] == "None"
    (rule,) = webhook["rules"]
    assert (rule["operations"], rule["resources"], rule["scope"]) == (["CREATE"], ["pods"], "Namespaced")
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
    assert {"kube-system", webhook["clientConfig"]["service"]["namespace"]} <= set(expression["values"])


def test_what_is_configured_leads_to_the_pods(webhook, deployed, pod, container):
    service = webhook["clientConfig"]["service"]
    served = deployed["Service", service["name"]]
    (port,) = served["spec"]["ports"]
    assert (served["metadata"]["namespace"], port["port"]) == (service["namespace"], service["port"])
    assert served["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (named,) = [one for one in container["ports"] if one["name"] == port["targetPort"]]
    assert named["containerPort"] == goflags.parse(Flags, container["args"], {}, program=PROGRAM)[0].port


def test_everything_is_in_one_namespace_and_selects_the_same_pods(deployed, pod):
    labels = pod["metadata"]["labels"]
    (namespace,) = [name for kind, name in deployed if kind == "Namespace"]
    assert {one["metadata"].get("namespace", namespace) for one in deployed.values()} == {namespace}
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert deployed[kind, "cri-resmgr-webhook"]["spec"]["selector"] == {"matchLabels": labels}
    assert deployed["NetworkPolicy", "cri-resmgr-webhook"]["spec"]["podSelector"] == {"matchLabels": labels}


def test_the_pods_have_no_rights_in_the_cluster_or_on_the_node(deployed, pod, container):
    assert not {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & {
        kind for kind, _ in deployed
    }
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_one_replica_is_always_there(deployed):
    spec = deployed["Deployment", "cri-resmgr-webhook"]["spec"]
    assert spec["replicas"] - deployed["PodDisruptionBudget", "cri-resmgr-webhook"]["spec"]["maxUnavailable"] >= 1
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_certificate_is_read_where_it_is_mounted(pod, container):
    flags, _ = goflags.parse(Flags, container["args"], {}, program=PROGRAM)
    (mount,), (volume,) = container["volumeMounts"], pod["spec"]["volumes"]
    assert mount["name"] == volume["name"]
    paths = {item["key"]: f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]}
    assert paths == {"tls.crt": flags.cert_file, "tls.key": flags.key_file}


async def test_the_probes_ask_for_what_is_served(container, files):
    async with served(files) as webhook:
        for probe in (container["readinessProbe"]["httpGet"], container["livenessProbe"]["httpGet"]):
            assert probe["scheme"] == "HTTPS"
            assert (await webhook("GET", probe["path"])).json["status"] == "ok"


def test_deadlines_fit_into_each_other(webhook, pod):
    assert webhook["timeoutSeconds"] >= answering.BODY_DEADLINE_S
    assert pod["spec"]["terminationGracePeriodSeconds"] > running.LEAVING_S + 3 * serving.CLOSING_S


def test_bodies_and_connections_fit_into_the_memory(container):
    limit = container["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    bodies_bytes = answering.LARGE_BODIES_LIMIT * answering.BODY_LIMIT_BYTES
    connections_bytes = serving.CONNECTIONS_LIMIT * 2 * answering.SMALL_BODY_BYTES
    assert bodies_bytes + connections_bytes < int(limit.removesuffix("Mi")) << 20


def test_cert_manager_makes_the_secret_that_the_pods_mount_for_the_name_that_is_called(webhook, pod):
    service = webhook["clientConfig"]["service"]
    made = loaded("..", "webhook-cert-manager", "certificate.yaml")
    served = made["Certificate", "cri-resmgr-webhook"]
    authority = made["Certificate", made["Issuer", served["spec"]["issuerRef"]["name"]]["spec"]["ca"]["secretName"]]
    assert authority["spec"]["isCA"] is True
    assert served["spec"]["secretName"] == pod["spec"]["volumes"][0]["secret"]["secretName"]
    assert f"{service['name']}.{service['namespace']}.svc" in served["spec"]["dnsNames"]
    assert "server auth" in served["spec"]["usages"]
    assert served["spec"]["privateKey"]["rotationPolicy"] == "Always"
    (patch,) = yaml.safe_load((EXAMPLES.with_name("webhook-cert-manager") / "kustomization.yaml").read_text())[
        "patches"
    ]
    (operation,) = yaml.safe_load(patch["patch"])
    source = f"{served['metadata']['namespace']}/{served['metadata']['name']}"
    assert operation["value"] == {"cert-manager.io/inject-ca-from": source}


def test_the_script_makes_what_the_manifests_want(made, webhook, pod):
    secret = yaml.safe_load((made / "secret.yaml").read_text())
    service = webhook["clientConfig"]["service"]
    assert (secret["metadata"]["namespace"], secret["metadata"]["name"]) == (
        service["namespace"],
        pod["spec"]["volumes"][0]["secret"]["secretName"],
    )
    (patched,) = yaml.safe_load((made / "ca-bundle.yaml").read_text())["webhooks"]
    assert patched["name"] == webhook["name"]
    pair = certificates.load(made / "svc.crt", made / "svc.key")
    assert f"DNS:{service['name']}.{service['namespace']}.svc" in pair.names


def test_the_script_renews_the_certificate_and_keeps_the_authority(made):
    authority, certificate = (made / "ca.crt").read_bytes(), (made / "svc.crt").read_bytes()
    subprocess.run([REPOSITORY / "hacks" / "make-webhook-certificate", made], check=True, capture_output=True)
    assert (made / "ca.crt").read_bytes() == authority
    assert (made / "svc.crt").read_bytes() != certificate
    verify = ["openssl", "verify", "-CAfile", made / "ca.crt", made / "svc.crt"]
    subprocess.run(verify, check=True, capture_output=True)


def test_nobody_else_can_read_what_the_script_has_made(made):
    assert {path.stat().st_mode & 0o077 for path in (made, *made.iterdir())} == {0}


def test_the_script_says_what_it_lacks(tmp_path):
    script = REPOSITORY / "hacks" / "make-webhook-certificate"
    alone = subprocess.run([script], capture_output=True, text=True, check=False)
    assert (alone.returncode, "usage: hacks/make-webhook-certificate DIRECTORY [DAYS]" in alone.stderr) == (1, True)
    bash = next(Path(place, "bash") for place in os.environ["PATH"].split(":") if Path(place, "bash").exists())
    lacking = subprocess.run(
        [bash, script, tmp_path], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (lacking.returncode, lacking.stderr) == (2, "make-webhook-certificate: needs openssl\n")


def test_the_page_about_it_shows_its_flags_and_names_files_that_are_there():
    page = (REPOSITORY / "docs" / "webhook.md").read_text()
    assert f"```\n{goflags.usage(PROGRAM, Flags)}```\n" in page
    named = set(re.findall(r"(?:examples|hacks)/[\w./-]+\w", page))
    assert len(named) == 5
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
