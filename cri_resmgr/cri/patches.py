"""Messages with what a policy owns, or does not own, and updates of our own.

A message of the kubelet or of the runtime is never encoded again; what changes is *appended*.  In protobuf the last
value of a field wins, sub-messages that occur twice are merged, and lists are joined (protobuf.dev, "Encoding", Last
One Wins), so `message + patch` reads as the message with just these fields changed.  Every byte that the other side
wrote stays, whether we know its meaning or not, and a patch costs the same for any size of message.
"""

from dataclasses import fields

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.values.resources import Assignment, Resources

_VARINT, _LENGTH = 0, 2  # wire types
_UINT64 = (1 << 64) - 1  # negative numbers are their two's complement

# Field numbers on the way to LinuxContainerResources.
_CONFIG = api.CreateContainerRequest.CONFIG_FIELD_NUMBER
_CONFIG_LINUX = api.ContainerConfig.LINUX_FIELD_NUMBER
_LINUX_RESOURCES = api.LinuxContainerConfig.RESOURCES_FIELD_NUMBER
_CONFIG_MOUNTS = api.ContainerConfig.MOUNTS_FIELD_NUMBER
_UPDATE_ID = api.UpdateContainerResourcesRequest.CONTAINER_ID_FIELD_NUMBER
_UPDATE_LINUX = api.UpdateContainerResourcesRequest.LINUX_FIELD_NUMBER
_STATUS = api.ContainerStatusResponse.STATUS_FIELD_NUMBER
_STATUS_RESOURCES = api.ContainerStatus.RESOURCES_FIELD_NUMBER
_RESOURCES_LINUX = api.ContainerResources.LINUX_FIELD_NUMBER

_NUMBERS = {  # our names of the fields of LinuxContainerResources
    "cpu_period_us": api.LinuxContainerResources.CPU_PERIOD_FIELD_NUMBER,
    "cpu_quota_us": api.LinuxContainerResources.CPU_QUOTA_FIELD_NUMBER,
    "cpu_shares": api.LinuxContainerResources.CPU_SHARES_FIELD_NUMBER,
    "memory_limit_bytes": api.LinuxContainerResources.MEMORY_LIMIT_IN_BYTES_FIELD_NUMBER,
    "oom_score_adj": api.LinuxContainerResources.OOM_SCORE_ADJ_FIELD_NUMBER,
    "cpuset_cpus": api.LinuxContainerResources.CPUSET_CPUS_FIELD_NUMBER,
    "cpuset_mems": api.LinuxContainerResources.CPUSET_MEMS_FIELD_NUMBER,
    "memory_swap_limit_bytes": api.LinuxContainerResources.MEMORY_SWAP_LIMIT_IN_BYTES_FIELD_NUMBER,
}
_OWNABLE = tuple(field.name for field in fields(Assignment))


def patched_create(request: bytes, asked: Resources, given: Assignment) -> bytes:
    """A CreateContainer with what `given` owns; the same object if `asked`, its own resources, already says so."""
    patch = _patch(asked, given)
    if not patch:
        return request
    return request + _enclosed(_CONFIG, _enclosed(_CONFIG_LINUX, _enclosed(_LINUX_RESOURCES, patch)))


def mounted_create(request: bytes, *, host_path: str, container_path: str) -> bytes:
    """A CreateContainer with one more mount: a directory of the host, bound read-only.

    Its propagation is private, the default, for which the runtime does not ask that the directory be on a shared
    mount.  Where SELinux is on, the runtime labels the directory so that this container may read it.
    """
    mount = (
        _field(api.Mount.CONTAINER_PATH_FIELD_NUMBER, container_path)
        + _field(api.Mount.HOST_PATH_FIELD_NUMBER, host_path)
        + _field(api.Mount.READONLY_FIELD_NUMBER, 1)
        + _field(api.Mount.SELINUX_RELABEL_FIELD_NUMBER, 1)
    )
    return request + _enclosed(_CONFIG, _enclosed(_CONFIG_MOUNTS, mount))


def patched_update(request: bytes, asked: Resources, given: Assignment) -> bytes:
    """An UpdateContainerResources with what `given` owns; the same object if `asked` already says so."""
    patch = _patch(asked, given)
    return request + _enclosed(_UPDATE_LINUX, patch) if patch else request


def patched_status(reply: bytes, said: Resources, shown: Assignment) -> bytes:
    """A reply to ContainerStatus with what is to be `shown`; the same object if what it says is just that."""
    patch = _patch(said, shown)
    return (
        reply + _enclosed(_STATUS, _enclosed(_STATUS_RESOURCES, _enclosed(_RESOURCES_LINUX, patch))) if patch else reply
    )


def update_request(container_id: str, resources: Resources) -> bytes:
    """An UpdateContainerResources of our own; what is 0 or "" in `resources` stays as it is in the runtime."""
    told = (_field(number, value) for name, number in _NUMBERS.items() if (value := getattr(resources, name)))
    return _enclosed(_UPDATE_ID, container_id.encode()) + _enclosed(_UPDATE_LINUX, b"".join(told))


def _patch(asked: Resources, given: Assignment) -> bytes:
    """The fields in which `given` differs from `asked`, written out even where they are 0 or ""."""
    told = {
        name: value
        for name in _OWNABLE
        if (value := getattr(given, name)) is not None and value != getattr(asked, name)
    }
    if "memory_limit_bytes" in told and (swap_bytes := asked.swap_with(told["memory_limit_bytes"])):
        told["memory_swap_limit_bytes"] = swap_bytes
    return b"".join(_field(_NUMBERS[name], value) for name, value in told.items())


def _field(number: int, value: int | str) -> bytes:
    if isinstance(value, str):
        return _enclosed(number, value.encode())
    return _varint(number << 3 | _VARINT) + _varint(value & _UINT64)


def _enclosed(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:  # noqa: PLR2004 - seven bits a byte, the eighth says that more follow
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
