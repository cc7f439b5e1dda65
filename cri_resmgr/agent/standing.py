"""Whether the node's configuration is as it should be, in words: what the readiness probe answers.

Each part of the agent says how its matter stands; the agent is ready if all of them are content.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

TEXT_LIMIT_CHARS = 4096


class Topic(StrEnum):
    """What there is to say something about, in the order in which it is said."""

    CONFIGURATION = "configuration"
    DAEMON = "daemon"
    API_SERVER = "API server"
    CAPACITY = "capacity"
    ADJUSTMENTS = "adjustments"


@dataclass(frozen=True, slots=True)
class Word:
    """How a matter stands; an empty text says nothing."""

    ready: bool
    text: str


class Standing:
    """Belongs to the event loop; not ready before anybody has said anything about the configuration."""

    def __init__(self, failing: Callable[[], dict[str, str]] = dict) -> None:
        """Ask `failing` for what the API server does not do, by what was asked of it."""
        self._words = {Topic.CONFIGURATION: Word(ready=False, text="not known yet")}
        self._failing = failing

    def say(self, topic: Topic, text: str, *, ready: bool = True) -> None:
        """How it stands from now on."""
        self._words[topic] = Word(ready, text)

    @property
    def ready(self) -> bool:
        """All are content."""
        return all(word.ready for word in self._words.values())

    def text(self) -> str:
        """What is wrong first, then the rest, one matter after another."""
        said = dict(self._words)
        if failing := self._failing():
            said[Topic.API_SERVER] = Word(ready=True, text="; ".join(sorted(set(failing.values()))))
        in_order = sorted(said.items(), key=lambda item: (item[1].ready, list(Topic).index(item[0])))
        lines = "".join(f"{topic}: {word.text}\n" for topic, word in in_order if word.text)
        return lines if len(lines) <= TEXT_LIMIT_CHARS else f"{lines[:TEXT_LIMIT_CHARS]}…\n"
