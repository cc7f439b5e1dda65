import pytest

from equipment.guest.pods import Place, _allowed
from equipment.guest.workloads import (
    MIB,
    Container,
    Pod,
    besteffort,
    burstable,
    cgroup_parent,
    container_config,
    guaranteed,
    resources,
    sandbox_config,
)


@pytest.mark.parametrize(
    ("containers", "qos"),
    [
        ([Container("c")], "besteffort"),
        ([Container("c", 500)], "burstable"),
        ([Container("c", 500, 500)], "burstable"),  # no memory
        ([Container("c", 500, 500, MIB, MIB)], "guaranteed"),
        ([Container("c", 500, 600, MIB, MIB)], "burstable"),
        ([Container("c", 500, 500, MIB, MIB), Container("d")], "burstable"),
    ],
)
def test_the_class_of_a_pod_follows_from_all_of_its_containers(containers: list[Container], qos: str):
    assert Pod("p", tuple(containers)).qos == qos


def test_pods_of_each_class_are_made_in_one_line():
    assert [guaranteed("p", 1000).qos, burstable("p", 1000).qos, besteffort("p").qos] == [
        "guaranteed",
        "burstable",
        "besteffort",
    ]
    assert [each.name for each in guaranteed("pod0", 1000, 500).containers] == ["pod0c0", "pod0c1"]


@pytest.mark.parametrize(
    ("pod", "cgroupfs", "systemd"),
    [
        (guaranteed("a", 1000), "/kubepods/poda-uid", "/kubepods.slice/kubepods-poda_uid.slice"),
        (
            burstable("b", 1000),
            "/kubepods/burstable/podb-uid",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podb_uid.slice",
        ),
    ],
)
def test_each_cgroup_driver_has_its_own_names(pod: Pod, cgroupfs: str, systemd: str):
    assert (cgroup_parent(pod, "cgroupfs"), cgroup_parent(pod, "systemd")) == (cgroupfs, systemd)


def test_resources_are_what_a_kubelet_makes_of_requests_and_limits():
    asked = resources(Container("c", 1500, 2000, 0, 100 * MIB), "burstable")
    assert (asked.cpu_period, asked.cpu_quota, asked.cpu_shares) == (100_000, 200_000, 1536)
    assert asked.memory_limit_in_bytes == 100 * MIB
    nothing = resources(Container("c"), "besteffort")
    assert (nothing.cpu_quota, nothing.cpu_shares, nothing.oom_score_adj) == (0, 2, 1000)


def test_a_sandbox_has_the_kubelets_labels_and_no_host_name():
    pod = Pod("p", (Container("c"),), namespace="kube-system", annotations={"a": "b"})
    config = sandbox_config(pod, "systemd")
    assert config.labels["io.kubernetes.pod.namespace"] == config.metadata.namespace == "kube-system"
    assert dict(config.annotations) == {"a": "b"}
    assert config.hostname == ""
    container = container_config(pod, pod.containers[0])
    assert container.labels["io.kubernetes.container.name"] == container.metadata.name == "c"


def test_a_place_is_read_from_the_status_of_a_process():
    text = (
        "Name:\tsleep\nCpus_allowed:\tf0\nCpus_allowed_list:\t4-7\nMems_allowed:\t2\nMems_allowed_list:\t1\nnonsense\n"
    )
    assert _allowed(text) == Place("4-7", "1")
