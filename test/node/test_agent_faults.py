"""What the agent does while others fail: nothing is lost, nothing is half applied, and it does not end."""

from pathlib import Path

import pytest

from node.agents import DEFAULT, NONE, PINNED, WRONG, Scene, scene
from node.kube_fixtures import *  # noqa: F403 - a fixture, as if it stood here

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

SCHEMA = Path(__file__).parents[2] / "examples" / "adjustment-schema.yaml"


@pytest.fixture(name="here")
def _here(api_server, tmp_path):
    with scene(api_server, tmp_path) as made:
        made.kubectl("apply", "-f", SCHEMA)
        made.configmap(DEFAULT, PINNED)
        made.agent.start()
        made.wait_used(DEFAULT, "topology-aware")
        made.agent.wait_ready("is in use")
        yield made


def test_an_api_server_that_is_killed_takes_nothing_away_and_is_followed_again(here: Scene):
    here.server.kill()
    try:
        here.agent.wait(lambda: "API server: " in here.agent.ready()[1], "it to be missed")
        assert here.agent.ready()[0], "what is in force is as it should be"
        assert here.status()["policy"] == "topology-aware"
    finally:
        here.server.start_server()
    here.configmap(DEFAULT, NONE)
    here.wait_used(DEFAULT, "none")
    here.agent.wait(lambda: "API server: " not in here.agent.ready()[1], "it to be forgotten")


def test_an_api_server_that_has_forgotten_what_the_agent_saw_last_is_asked_for_everything(here: Scene):
    here.server.kill()
    here.server.start_server()
    here.configmap(DEFAULT, NONE)
    here.server.compact()
    here.wait_used(DEFAULT, "none")


def test_a_daemon_that_is_killed_is_missed_and_given_everything_again(here: Scene):
    here.daemon.kill()
    here.agent.wait_unready("daemon: ")
    here.configmap(DEFAULT, NONE)
    here.daemon.start()
    here.wait_used(DEFAULT, "none")
    here.agent.wait_ready("is in use")


def test_a_daemon_that_is_killed_while_a_configuration_comes_has_the_old_one_or_the_new_one(here: Scene):
    for data, policy in [(NONE, "none"), (PINNED, "topology-aware")] * 3:
        pushed = here.daemon.log().count("config.pushed")
        here.configmap(DEFAULT, data)
        here.daemon.wait(lambda pushed=pushed: here.daemon.log().count("config.pushed") > pushed, "a push")
        here.daemon.kill()
        here.daemon.start()
        here.wait_used(DEFAULT, policy)


def test_two_agents_agree(here: Scene):
    other = here.another()
    other.start()
    other.wait_ready("is in use")
    here.configmap(DEFAULT, WRONG)
    other.wait_unready("ballons")
    here.agent.wait_unready("ballons")
    assert here.status()["policy"] == "topology-aware"
    here.configmap(DEFAULT, NONE)
    here.wait_used(DEFAULT, "none")
    other.wait_ready("is in use")
    here.agent.wait_ready("is in use")
    assert here.daemon.log().count("config.applied") <= here.daemon.log().count("config.pushed") <= 10
