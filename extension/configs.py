"""Which configuration texts a shoot gets: the operator's, overridden type by type by those of the shoot's owner.

The operator's come from the ControllerDeployment through the chart into a ConfigMap of our own namespace, and are read
live.  Whose text is wrong decides who is told: an owner's mistake is his, an operator's is no shoot's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.resources import Object
from cri_resmgr.kube.watching import PACE, Pace, Reflector
from extension.checking import Checker
from extension.contract import CONFIGMAPS
from extension.errors import BaseProblem, ConfigurationProblem

CONFIGMAP = "gardener-extension-cri-resmgr-configs"
LIMIT_BYTES = 256 << 10
"""All texts of a shoot together: they become one Secret with the rest, and that holds 1 MiB."""
WORDS = ("fallback", "default", "force")
_NAMED = re.compile(r"(?:node|group)\.[a-z0-9](?:[-a-z0-9.]{0,200}[a-z0-9])?")
_TYPES = "fallback, default, force, node.NAME and group.NAME, with the NAME in lower case"


@dataclass(frozen=True, slots=True)
class Text:
    """A configuration text; `where` is what to call it in messages."""

    content: str
    where: str
    own: bool
    """It is the shoot's owner's, not the operator's."""


class Base:
    """The operator's texts as they are now."""

    def __init__(self, client: Client, namespace: str, *, changed: Callable[[], None], pace: Pace = PACE) -> None:
        maps = CONFIGMAPS.within(namespace).named(CONFIGMAP)
        self._reflector: Reflector[dict[str, str]] = Reflector(
            client, maps, project=_data, changed=lambda _old, _new: changed(), pace=pace
        )
        self.known = self._reflector.known
        self.run = self._reflector.run

    def texts(self) -> Mapping[str, str]:
        """By type; nothing if the operator says nothing."""
        return next(iter(self._reflector.objects.values()), {})


def merged(base: Mapping[str, str], own: Mapping[str, str]) -> dict[str, Text]:
    """The texts of a shoot by type.  An empty text takes the operator's away."""
    operators = {kind: Text(text, f"ControllerDeployment: configs.{kind}", own=False) for kind, text in base.items()}
    owners = {kind: Text(text, f"providerConfig.configs.{kind}", own=True) for kind, text in own.items()}
    together = {**operators, **owners}
    return {kind: together[kind] for kind in sorted(together) if together[kind].content.strip()}


async def checked(texts: Mapping[str, Text], checker: Checker) -> dict[str, str]:
    """The same as plain texts if all is right with them.

    Raises ConfigurationProblem if the owner's are wrong, else BaseProblem if the operator's are.
    """
    owners: list[str] = []
    operators: list[str] = []
    for kind, text in texts.items():
        problems = [*_misnamed(kind, text)] or await _problems(text, checker)
        (owners if text.own else operators).extend(problems)
    size_bytes = sum(len(text.content.encode(errors="replace")) for text in texts.values())
    if size_bytes > LIMIT_BYTES:
        mine = any(text.own for text in texts.values())
        where = "providerConfig.configs" if mine else "ControllerDeployment: configs"
        too_much = f"{where}: {size_bytes} bytes in all; a shoot holds {LIMIT_BYTES}; make them smaller"
        (owners if mine else operators).append(too_much)
    if owners:
        raise ConfigurationProblem("\n".join(owners))
    if operators:
        raise BaseProblem("\n".join(operators))
    return {kind: text.content for kind, text in texts.items()}


def _misnamed(kind: str, text: Text) -> Iterator[str]:
    if kind in WORDS or _NAMED.fullmatch(kind):
        return
    near = get_close_matches(kind, WORDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {_TYPES}"
    yield f"{text.where}: is no type of configuration; {hint}"


async def _problems(text: Text, checker: Checker) -> list[str]:
    if len(text.content) > LIMIT_BYTES:
        return [f"{text.where}: is larger than {LIMIT_BYTES} bytes; make it smaller"]
    try:
        await checker.check(text.content, text.where)
    except BadInput as error:
        return str(error).splitlines()
    return []


def _data(thing: Object) -> dict[str, str]:
    data = thing.get("data") or {}
    return {str(kind): str(text) for kind, text in data.items()}
