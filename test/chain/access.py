"""A garden and its one shoot as people reach them: `chain.local` is this machine's, `e2e.landscapes` Gardener's own."""

from pathlib import Path
from typing import Any, Protocol

import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "shoot.yaml"


class Access(Protocol):
    """A garden with one shoot."""

    shoot_name: str
    project_namespace: str
    settle_s: float
    """How long a change of the Shoot may take; a real gardenlet does much else meanwhile."""

    def garden(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says in the garden; KubectlError when it fails."""
        ...

    def shoot(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says in the shoot; KubectlError when it fails."""
        ...

    def template(self) -> dict[str, Any]:
        """A Shoot that does not ask for the extension."""
        ...


def shoot_without_extension() -> dict[str, Any]:
    """The Shoot of the examples, before its user asks for the extension."""
    shoot: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    del shoot["spec"]["extensions"]
    return shoot
