"""What is told to Kubernetes as an Event, as values and as the objects of `events.k8s.io/v1`.

The name of an Event follows from what it is about and what it says.  So whoever tells the same again, be it another
agent on this node or the next one after a restart, finds the object there, and nothing is told twice.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cri_resmgr.kube.resources import Object, Resource

EVENTS = Resource("events.k8s.io/v1", "events")
CONTROLLER = "cri-resmgr-agent"
NOTE_LIMIT_BYTES = 1024
"""The API server refuses more."""
_WORD_LIMIT_CHARS = 128  # of a reason
_NAME_LIMIT_CHARS = 230  # of the subject's part of an Event's name, which has 253
_LAST_S = 253402300799.0  # what a date can be; a clock may say anything
_DEFAULT_NAMESPACE = "default"  # where Events about what has no namespace must be


@dataclass(frozen=True, slots=True)
class Subject:
    """What it is about; `container` is of a pod, or ""."""

    kind: str
    name: str
    uid: str
    namespace: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """`reason` is one word for programs, `note` is for people.

    `count` is how often it has happened since `first_s` (Unix time), if whoever tells knows; 0 means once more.
    """

    about: Subject
    reason: str
    note: str
    warning: bool = True
    count: int = 0
    first_s: float = 0.0

    @property
    def name(self) -> str:
        """Of the Event, the same for what is the same."""
        about = self.about
        words = (about.kind, about.namespace, about.name, about.uid, about.container, self.reason, self.note)
        told = "\0".join((*words, f"{self.first_s:.3f}"))
        return f"{about.name[:_NAME_LIMIT_CHARS].rstrip('-.')}.{sha256(told.encode(errors='replace')).hexdigest()[:16]}"

    @property
    def resource(self) -> Resource:
        """Where the Event is."""
        return EVENTS.within(self.about.namespace or _DEFAULT_NAMESPACE)


def node(name: str) -> Subject:
    """A Node.  Its uid is its name, as the kubelet has it, and as `kubectl describe node` looks for it."""
    return Subject("Node", name, name)


def event(report: Report, *, instance: str, count: int, now_s: float) -> Object:
    """The Event as it is made; `instance` is the node's name."""
    about = report.about
    regarding = {"apiVersion": "v1", "kind": about.kind, "name": about.name, "uid": about.uid}
    regarding |= {"namespace": about.namespace} if about.namespace else {}
    regarding |= {"fieldPath": f"spec.containers{{{about.container}}}"} if about.container else {}
    return {
        "apiVersion": EVENTS.group_version,
        "kind": "Event",
        "metadata": {"name": report.name, "namespace": report.resource.namespace},
        "eventTime": _time(report.first_s or now_s),
        "type": "Warning" if report.warning else "Normal",
        "reason": report.reason[:_WORD_LIMIT_CHARS] or "Unknown",
        "action": "Place" if about.kind == "Pod" else "Configure",
        "note": limited(report.note, NOTE_LIMIT_BYTES),
        "regarding": regarding,
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:_WORD_LIMIT_CHARS],
        **(series(count, now_s) if count > 1 else {}),
    }


def series(count: int, now_s: float) -> Object:
    """What changes in an Event when it happens again."""
    return {"series": {"count": count, "lastObservedTime": _time(now_s)}}


def limited(text: str, limit_bytes: int) -> str:
    """The text, or its beginning with `…` after it."""
    raw = text.encode(errors="replace")
    return raw.decode() if len(raw) <= limit_bytes else f"{raw[: limit_bytes - 3].decode(errors='ignore')}…"


def _time(unix_s: float) -> str:
    """As a MicroTime is written."""
    return datetime.fromtimestamp(min(max(0.0, unix_s), _LAST_S), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
