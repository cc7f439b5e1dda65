"""Whatever the message, what must not be shown is not in any line of the dump."""

import asyncio
from functools import cache

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cri_resmgr.config.settings import DumpSettings
from cri_resmgr.cri import api_pb2, methods
from cri_resmgr.observe.dump import Dumper
from cri_resmgr.relay.hooks import Failed

SECRET = "hunter2"  # noqa: S105 - it is one on purpose
ENCODED = "aHVudGVyMg"  # the same in base 64
SUSPICIOUS = ("password", "vault.io/token", "kubectl.kubernetes.io/last-applied-configuration")
COMMANDS = ("command", "args", "cmd")
DEPTH = 3
UNKNOWN_FIELD = 60001


class Lines:
    def __init__(self):
        self.said: list[str] = []

    def __getattr__(self, _level):
        return lambda event, **_fields: self.said.append(event)


@cache
def future(name: str) -> type[Message]:
    """A known message with a field that we do not know, for the secrets of the future."""
    file = descriptor_pb2.FileDescriptorProto()
    api_pb2.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        message.field.add(name="new_secret", number=UNKNOWN_FIELD, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def hide(draw, message: Message, depth: int) -> None:
    """Fill `message` to `depth`: the secret in every place that is known for secrets, harmless text elsewhere."""
    for field in message.DESCRIPTOR.fields:
        if field.name == "new_secret":
            message.new_secret = SECRET
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            key = "info" if field.GetOptions().debug_redact else draw(st.sampled_from(SUSPICIOUS))
            getattr(message, field.name)[key] = SECRET
        elif field.message_type is not None:
            if depth > 0 and draw(st.booleans()):
                value = getattr(message, field.name)
                hide(draw, value.add() if field.is_repeated else value, depth - 1)
        elif field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
            hide_text(draw, message, field)


def hide_text(draw, message: Message, field: FieldDescriptor) -> None:
    if field.name in COMMANDS:
        forms = (["--password", SECRET], [f"--token={SECRET}"], ["sh", "-c", f"X_SECRET={SECRET} run"])
        getattr(message, field.name).extend(draw(st.sampled_from(forms)))
    elif not field.is_repeated:
        said = SECRET if field.GetOptions().debug_redact else "harmless"
        setattr(message, field.name, said.encode() if field.type == FieldDescriptor.TYPE_BYTES else said)


@st.composite
def calls(draw) -> tuple[str, bytes, bytes]:
    """A method with a request and a reply full of secrets."""
    path = draw(st.sampled_from(sorted(methods.PATHS)))
    request, reply = (future(kind.DESCRIPTOR.full_name)() for kind in methods.types_of(path))
    hide(draw, request, DEPTH)
    hide(draw, reply, DEPTH)
    return path, request.SerializeToString(), reply.SerializeToString()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(calls())
def test_no_secret_is_ever_in_the_dump_of_a_call(call):
    path, request, reply = call
    log = Lines()
    dumper = Dumper(log)
    dumper.configure(DumpSettings(rules="full:.*"))
    tap = dumper.tap_for(path)
    tap.request(request)
    tap.reply(reply)
    tap.ended(2, f"cannot run with password={SECRET}")
    dumper.close()
    said = "\n".join(log.said)
    assert "REQUEST" in said
    assert "REPLY" in said
    assert SECRET not in said
    assert ENCODED not in said


@given(calls())
def test_no_secret_is_in_the_dump_of_an_intercepted_call_that_fails(call):
    path, request, _ = call

    class Held:
        method, remaining_s = path, None

        def __init__(self):
            self.request = request

        async def forward(self, _message):
            raise Failed(2, f"postgres://me:{SECRET}@db is down")

    async def changing(held):
        return await held.forward(held.request + b"")

    log = Lines()
    dumper = Dumper(log)
    dumper.configure(DumpSettings(rules="full:.*"))

    async def main():
        try:
            await dumper.layer(changing, lambda _: "pod")(Held())
        except Failed:
            return
        raise AssertionError("the failure was swallowed")

    asyncio.run(main())
    dumper.close()
    assert any("FAILED" in line for line in log.said)
    assert SECRET not in "\n".join(log.said)
