import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.observe.redaction import LAST_APPLIED, LIMIT_CHARS, REDACTED, plain, text


def test_names_of_the_environment_are_shown_and_values_never():
    config = api.ContainerConfig(envs=[api.KeyValue(key="HOME", value=b"/root"), api.KeyValue(key="EMPTY")])
    assert plain(config) == {"envs": [{"key": "HOME", "value": REDACTED}, {"key": "EMPTY"}]}


def test_registry_credentials_are_one_word_wherever_they_stand():
    names = ("username", "password", "auth", "identity_token", "registry_token", "server_address")
    auth = api.AuthConfig(**dict.fromkeys(names, "s"))
    assert plain(api.PullImageRequest(auth=auth)) == {"auth": REDACTED}
    assert plain(auth) == {
        "username": REDACTED,
        "password": REDACTED,
        "auth": REDACTED,
        "identity_token": REDACTED,
        "registry_token": REDACTED,
        "server_address": "s",
    }


def test_output_of_commands_is_not_shown_and_their_exit_code_is():
    assert plain(api.ExecSyncResponse(stdout=b"o", stderr=b"e", exit_code=3)) == {
        "stdout": REDACTED,
        "stderr": REDACTED,
        "exit_code": 3,
    }


@pytest.mark.parametrize("kind", [api.ExecResponse, api.AttachResponse, api.PortForwardResponse])
def test_the_address_of_a_stream_carries_a_token(kind):
    assert plain(kind(url="http://127.0.0.1:1/exec/TOKEN")) == {"url": REDACTED}


@pytest.mark.parametrize(
    "kind",
    [api.StatusResponse, api.ContainerStatusResponse, api.PodSandboxStatusResponse, api.ImageStatusResponse],
)
def test_verbose_info_repeats_environments_and_configuration(kind):
    assert plain(kind(info={"info": '{"env": ["A=b"]}', "config": "{}"})) == {
        "info": {"info": REDACTED, "config": REDACTED}
    }


@pytest.mark.parametrize(
    "key",
    [
        "db-password",
        "vault.io/TOKEN",
        "my.org/api-key",
        "registryCredentials",
        "basic-auth",
        "client_secret",
        LAST_APPLIED,
    ],
)
def test_what_is_filed_under_a_suspicious_key_is_not_shown(key):
    config = api.PodSandboxConfig(labels={key: "x"}, annotations={key: "x", "author": "me"})
    assert plain(config) == {"labels": {key: REDACTED}, "annotations": {key: REDACTED, "author": "me"}}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["run", "--password=hunter2"], ["run", f"--password={REDACTED}"]),
        (["run", "--token", "hunter2", "--fast"], ["run", "--token", REDACTED, "--fast"]),
        (["sh", "-c", "DB_PASSWORD=hunter2 ./run --all"], ["sh", "-c", f"DB_PASSWORD={REDACTED} ./run --all"]),
        (["psql", "postgres://me:hunter2@db/x"], ["psql", f"postgres://me:{REDACTED}@db/x"]),
        (["curl", "-H", "Authorization: Bearer hunter2"], ["curl", "-H", f"Authorization: {REDACTED}"]),
        (["curl", "-H", "Authorization: Basic aHVudGVy"], ["curl", "-H", f"Authorization: {REDACTED}"]),
        (["x", '{"apiKey": "hunter 2", "n": 1}'], ["x", f'{{"apiKey": {REDACTED}, "n": 1}}']),
        (["sleep", "10", "--author=me"], ["sleep", "10", "--author=me"]),
    ],
)
def test_a_command_line_keeps_its_form_without_secrets(words, shown):
    assert plain(api.ContainerConfig(command=words)) == {"command": shown}
    assert plain(api.ContainerConfig(args=words)) == {"args": shown}
    assert plain(api.ExecSyncRequest(cmd=words)) == {"cmd": shown}
    assert plain(api.ExecRequest(cmd=words)) == {"cmd": shown}


@pytest.mark.parametrize(
    "said",
    [
        'container "c1" not found',
        "failed to authorize: no basic auth credentials",
        "unauthorized: authentication required",
        'secret "db" not found',
    ],
)
def test_an_error_is_still_told(said):
    assert text(said) == said


@pytest.mark.parametrize("piece", ["token", "a", "-", "token='", 'auth="', "://a:", "bearer ", "passw="])
def test_a_text_made_to_be_slow_is_cut_before_it_is_searched(piece):
    said = text(piece * (1 << 18))
    assert len(said) < LIMIT_CHARS * 20
    assert "characters more" in said or REDACTED in said


def test_what_has_other_types_than_text_stays_what_it_is():
    listed = api.Container(state=api.CONTAINER_RUNNING, created_at=-5)
    user = api.LinuxContainerUser(uid=1, supplemental_groups=[3, 4])
    assert plain(listed) == {"state": 1, "created_at": -5}
    assert plain(user) == {"uid": 1, "supplemental_groups": [3, 4]}
