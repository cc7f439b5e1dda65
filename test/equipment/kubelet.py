"""A kubelet's configuration, the same for a bare node and for a sandbox node but for where things are."""

from ipaddress import IPv4Address


def kubelet_configuration(*, address: IPv4Address, port: int, authority: str) -> dict[str, object]:
    """KubeletConfiguration: the kubelet serves on `port` and says that it is healthy on the one below.

    `authority` is the file of the CA that signs the API server's client certificate.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(address),
        "port": port,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": port - 1,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",  # containerd is told the same; no systemd is needed
        "failSwapOn": False,
        "failCgroupV1": False,
        "cpuManagerPolicy": "none",
        "enforceNodeAllocatable": ["pods"],
        # A developer's disk may be rather full.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,  # images cannot be pulled again
        "imageGCLowThresholdPercent": 99,
        "resolvConf": "/etc/resolv.conf",
        "nodeStatusUpdateFrequency": "5s",
        "logging": {"verbosity": 2},
    }
