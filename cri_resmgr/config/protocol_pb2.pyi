from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SetConfigRequest(_message.Message):
    __slots__ = ("node_name", "source", "resource_version", "settings")
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    node_name: str
    source: str
    resource_version: str
    settings: str
    def __init__(self, node_name: _Optional[str] = ..., source: _Optional[str] = ..., resource_version: _Optional[str] = ..., settings: _Optional[str] = ...) -> None: ...

class SetConfigReply(_message.Message):
    __slots__ = ("error", "digest")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    error: str
    digest: str
    def __init__(self, error: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Adjustment(_message.Message):
    __slots__ = ("name", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class SetAdjustmentsRequest(_message.Message):
    __slots__ = ("node_name", "digest", "adjustments")
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    node_name: str
    digest: str
    adjustments: _containers.RepeatedCompositeFieldContainer[Adjustment]
    def __init__(self, node_name: _Optional[str] = ..., digest: _Optional[str] = ..., adjustments: _Optional[_Iterable[_Union[Adjustment, _Mapping[str, object]]]] = ...) -> None: ...

class SetAdjustmentsReply(_message.Message):
    __slots__ = ("errors",)
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    errors: str
    def __init__(self, errors: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("events_since",)
    EVENTS_SINCE_FIELD_NUMBER: _ClassVar[int]
    events_since: int
    def __init__(self, events_since: _Optional[int] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: str
    def __init__(self, status: _Optional[str] = ...) -> None: ...

class MetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MetricsReply(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...
