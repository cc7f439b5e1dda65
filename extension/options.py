"""What the command line says to the controller."""

from dataclasses import dataclass

from extension.rendering.inputs import PullSecret


@dataclass(frozen=True, slots=True)
class Options:
    """Times are in seconds."""

    namespace: str = ""
    """Ours, where the ConfigMap with the operator's configurations is; empty for no such ConfigMap."""
    workers: int = 10
    """How many Extensions are worked on at once."""
    deadline_s: float = 180.0
    """One Extension is worked on for so long at most, and then again."""
    resync_s: float = 3600.0
    """Each Extension is compared with what it should be about so often; nothing is written if nothing differs."""
    poll_s: float = 10.0
    """What is waited for is looked at so often, beside whenever there is news of it."""
    told_s: float = 150.0
    """A removal that takes longer is told as an error, with what it waits for: gardenlet waits three minutes."""
    named_s: float = 60.0
    """A removal that takes longer has the shoot asked which nodes it waits for."""
    applied_s: float = 30.0
    """A removal waits so long for gardener-resource-manager to apply what it has not seen yet."""
    removal_s: float = 1800.0
    """A removal waits so long for nodes that do not answer, and then goes on without them."""
    shoot_server: str = ""
    """The address of every shoot's API server; empty for the one that Gardener gives it in the seed."""
    pull_secrets: tuple[PullSecret, ...] = ()
    """Credentials for the registry of the shoot's images."""
    monitoring: tuple[str, ...] = ()
    """Which parts of `rendering.monitoring` the seed gets for each shoot."""
