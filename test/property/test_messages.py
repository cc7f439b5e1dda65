"""Patches against a protocol of the future: every message has fields that we do not know, at every level."""

import contextlib
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.cri import api_pb2, messages
from cri_resmgr.cri.patches import mounted_create, patched_create, patched_update, update_request
from cri_resmgr.values.resources import Assignment, Resources

NEW_TEXT, NEW_BYTES, NEW_NUMBERS, NEW_MESSAGE = 60001, 60002, 60003, 60004
DEPTH = 4  # CreateContainerRequest > config > linux > resources
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_ENUM: (0, 200),  # most of them are unknown
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def with_new_fields(message: descriptor_pb2.DescriptorProto) -> None:
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, number, kind, label in (
        ("new_text", NEW_TEXT, kinds.TYPE_STRING, kinds.LABEL_OPTIONAL),
        ("new_bytes", NEW_BYTES, kinds.TYPE_BYTES, kinds.LABEL_REPEATED),
        ("new_numbers", NEW_NUMBERS, kinds.TYPE_SINT64, kinds.LABEL_REPEATED),
    ):
        message.field.add(name=name, number=number, type=kind, label=label)
    message.field.add(
        name="new_message", number=NEW_MESSAGE, type=kinds.TYPE_MESSAGE, label=1, type_name=".runtime.v1.KeyValue"
    )


@cache
def future(name: str) -> type[Message]:
    """The message `name` of the protocol as it may be in years: the same, with new fields in every message."""
    file = descriptor_pb2.FileDescriptorProto()
    api_pb2.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        with_new_fields(message)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"runtime.v1.{name}"))


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.cpp_type in INTEGERS:
        return st.integers(*INTEGERS[field.cpp_type])
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    return st.binary(max_size=5) if field.type == FieldDescriptor.TYPE_BYTES else texts


def fill(draw, message: Message, depth: int) -> None:
    """Set some fields of `message` and, until `depth`, of what it contains."""
    known = list(message.DESCRIPTOR.fields)
    for field in draw(st.lists(st.sampled_from(known), unique_by=lambda f: f.name, max_size=5)):
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value.update(draw(st.dictionaries(texts, texts, max_size=2)))
        elif field.message_type is not None and depth > 0:
            target = value.add() if field.is_repeated else value
            target.SetInParent()
            fill(draw, target, depth - 1)
        elif field.message_type is None and field.is_repeated:
            value.extend(draw(st.lists(scalars(field), max_size=2)))
        elif field.message_type is None:
            setattr(message, field.name, draw(scalars(field)))


def spray(message: Message) -> None:
    """Set the new fields in `message` and in everything that it contains."""
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else [value]:
                spray(inner)
    message.new_text = "from the future"
    message.new_bytes.extend([b"\xff", b""])
    message.new_numbers.extend([-1, 1 << 40])
    message.new_message.key = "k"


@st.composite
def requests(draw, name: str) -> Message:
    message = future(name)()
    fill(draw, message, DEPTH)
    if name == "CreateContainerRequest" and draw(st.booleans()):
        fill(draw, message.config.linux.resources, 0)
    spray(message)
    return message


cpus = st.sampled_from(["", "0", "0-3,8", "1," * 200 + "1"])
amounts = st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([-1, 0, 2, 1024])
assignments = st.builds(
    Assignment,
    cpuset_cpus=st.none() | cpus,
    cpuset_mems=st.none() | cpus,
    cpu_shares=st.none() | amounts,
    cpu_quota_us=st.none() | amounts,
    cpu_period_us=st.none() | amounts,
)
CRI_NAMES = {
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "cpu_shares": "cpu_shares",
    "cpu_quota_us": "cpu_quota",
    "cpu_period_us": "cpu_period",
}


def assign(linux: Message, asked: Resources, assignment: Assignment) -> bool:
    """Do by hand what a patch does; whether anything changed."""
    changed = {
        cri: getattr(assignment, ours)
        for ours, cri in CRI_NAMES.items()
        if getattr(assignment, ours) not in {None, getattr(asked, ours)}
    }
    for name, value in changed.items():
        setattr(linux, name, value)
    return bool(changed)


@given(requests("CreateContainerRequest"), assignments)
def test_a_patched_create_changes_what_is_assigned_and_nothing_else_known_or_unknown(request, assignment):
    raw = request.SerializeToString()
    asked = messages.container_of_create(raw).asked
    patched = patched_create(raw, asked, assignment)
    if not assign(request.config.linux.resources, asked, assignment):
        assert patched is raw
    assert type(request).FromString(patched) == request
    assert messages.container_of_create(patched).asked == assignment.over(asked)


@given(requests("UpdateContainerResourcesRequest"), assignments)
def test_a_patched_update_changes_what_is_assigned_and_nothing_else_known_or_unknown(request, assignment):
    raw = request.SerializeToString()
    _, asked = messages.update_of(raw)
    patched = patched_update(raw, asked, assignment)
    if not assign(request.linux, asked, assignment):
        assert patched is raw
    assert type(request).FromString(patched) == request


@given(requests("CreateContainerRequest"), assignments)
def test_a_patched_message_survives_whoever_decodes_and_encodes_it_with_todays_schema(request, assignment):
    raw = request.SerializeToString()
    patched = patched_create(raw, messages.container_of_create(raw).asked, assignment)
    again = api_pb2.CreateContainerRequest.FromString(patched).SerializeToString()
    assert type(request).FromString(again) == type(request).FromString(patched)


@given(requests("CreateContainerRequest"), texts, texts)
def test_a_mount_is_added_and_nothing_else_known_or_unknown_changes(request, host_path, container_path):
    mounted = mounted_create(request.SerializeToString(), host_path=host_path, container_path=container_path)
    request.config.mounts.add(host_path=host_path, container_path=container_path, readonly=True, selinux_relabel=True)
    assert type(request).FromString(mounted) == request


@given(texts, st.builds(Resources, amounts, amounts, amounts, amounts, amounts, cpus, cpus))
def test_our_own_update_is_read_back_as_it_was_meant(container_id, resources):
    assert messages.update_of(update_request(container_id, resources)) == (container_id, resources)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_undecodable_and_never_anything_else(raw):
    readers = (
        messages.container_of_create,
        messages.update_of,
        messages.pods_listed,
        messages.containers_listed,
        messages.pod_of_status,
        messages.resources_of_status,
        messages.pid_of_status,
        messages.paths_of_create,
        lambda data: messages.pod_of_run(data, b""),
    )
    for read in readers:
        with contextlib.suppress(messages.Undecodable):
            read(raw)
