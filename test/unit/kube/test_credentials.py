"""A pod's service account, or a kubeconfig; what cannot be used is told with the place and the remedy."""

import json
from math import inf

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.credentials import TOKEN_GOOD_FOR_S, from_kubeconfig, from_pod

POD = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}


@pytest.fixture
def account(tmp_path):
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "ca.crt").write_text("a certificate")
    return tmp_path


@pytest.fixture
def kubeconfig(tmp_path):
    def write(*, user, cluster=None):
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443/", **(cluster or {})}}],
            "users": [{"name": "u", "user": user}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    return write


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_pod_knows_its_api_server_and_its_token_from_what_the_kubelet_gave_it(account):
    access = await from_pod(POD, account)()
    assert access.configuration.host == "https://[fd00::1]:6443"
    assert access.configuration.ssl_ca_cert == str(account / "ca.crt")
    assert (access.authorization, access.good_for_s) == ("bearer abc", TOKEN_GOOD_FOR_S)


async def test_a_token_that_was_replaced_is_found(account):
    load = from_pod(POD, account)
    await load()
    (account / "token").write_text("def")
    assert (await load()).authorization == "bearer def"


async def test_a_pod_uses_no_proxy(account, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert (await from_pod(POD, account)()).configuration.proxy is None


@pytest.mark.parametrize("missing", ["token", "ca.crt", "environment"])
async def test_outside_of_a_pod_one_is_told_to_give_a_kubeconfig(account, missing):
    if missing != "environment":
        (account / missing).unlink()
    with pytest.raises(BadInput, match=f"{account}.*give a kubeconfig"):
        await from_pod({} if missing == "environment" else POD, account)()


async def test_a_kubeconfig_has_server_and_token(kubeconfig):
    access = await from_kubeconfig(kubeconfig(user={"token": "abc"}))()
    assert access.configuration.host == "https://api.example:6443"
    assert (access.authorization, access.good_for_s) == ("Bearer abc", inf)


async def test_a_kubeconfig_may_name_a_file_with_the_token_which_is_read_each_time(kubeconfig, tmp_path):
    token = tmp_path / "token"
    token.write_text("abc\n")
    load = from_kubeconfig(kubeconfig(user={"tokenFile": "token"}))
    assert (await load()).authorization == "Bearer abc"
    token.write_text("def\n")
    assert (await load()).authorization == "Bearer def"


async def test_a_kubeconfig_with_a_client_certificate_needs_no_header(kubeconfig, account):
    user = {"client-certificate": "token", "client-key": "ca.crt"}
    access = await from_kubeconfig(kubeconfig(user=user))()
    assert access.authorization == ""
    assert access.configuration.cert_file == str(account / "token")


@pytest.mark.parametrize(
    ("cluster", "environment", "expected"),
    [
        ({}, {}, None),
        ({}, {"https_proxy": "http://one:3128"}, "http://one:3128"),
        ({}, {"https_proxy": "http://one:3128", "no_proxy": "api.example"}, None),
        ({"proxy-url": "http://two:3128"}, {"https_proxy": "http://one:3128"}, "http://two:3128"),
    ],
)
async def test_a_kubeconfigs_server_is_reached_as_kubectl_would(
    kubeconfig, monkeypatch, cluster, environment, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    access = await from_kubeconfig(kubeconfig(user={"token": "abc"}, cluster=cluster))()
    assert access.configuration.proxy == expected


@pytest.mark.parametrize("text", ["", "[]", "a: [", "{}", '{"current-context": "none", "contexts": []}'])
async def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path, text):
    path = tmp_path / "wrong"
    path.write_text(text)
    with pytest.raises(BadInput, match=f"{path} cannot be used: .*kubectl"):
        await from_kubeconfig(path)()
