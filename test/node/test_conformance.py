"""critest against a runtime, directly and through the relay: what passes directly passes through the relay."""

from pathlib import Path

import pytest

from equipment import critest
from equipment.relay import Relay
from equipment.runtimes import Runtime

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_go,
    # A first run builds critest, and perhaps a runtime.
    pytest.mark.timeout(3600),
]

# CRI-O's rules for host ports do not serve 127.0.0.1 where `route_localnet` is off; the spec waits a minute for it.
CRIO_HOST_PORTS = "port mapping with host port and container port"
# It answers before the process that it has killed is gone, so this one passes or not by chance.
CRIO_RACE = "execSync with timeout"


def differences(
    runtime: Runtime, directory: Path, *, at_least: int, focus: str = "", skip: str = critest.OFFLINE
) -> list[str]:
    """Compare both ways, after checking that enough specs pass directly for a comparison to mean anything."""
    direct = critest.run(runtime.socket, directory / "direct", focus=focus, skip=skip)
    assert len(critest.passed(direct)) >= at_least, {
        name: outcome.message for name, outcome in direct.items() if outcome.verdict == "failed"
    }
    with Relay(runtime.socket, directory / "relay") as relay:
        relayed = critest.run(relay.socket, directory / "relayed", focus=focus, skip=skip)
    return critest.compare(direct, relayed)


def test_every_spec_of_the_subset_that_passes_directly_passes_through_the_relay(containerd16: Runtime, tmp_path: Path):
    assert differences(containerd16, tmp_path, at_least=25, focus=critest.SUBSET) == []


@pytest.mark.slow
def test_containerd_16_conforms_through_the_relay_as_it_does_directly(containerd16: Runtime, tmp_path: Path):
    assert differences(containerd16, tmp_path, at_least=70) == []


@pytest.mark.slow
def test_containerd_2_conforms_through_the_relay_as_it_does_directly(containerd2: Runtime, tmp_path: Path):
    assert differences(containerd2, tmp_path, at_least=74) == []


@pytest.mark.slow
def test_crio_conforms_through_the_relay_as_it_does_directly(crio: Runtime, tmp_path: Path):
    skip = f"{critest.OFFLINE}|{CRIO_HOST_PORTS}|{CRIO_RACE}"
    assert differences(crio, tmp_path, at_least=72, skip=skip) == []
