"""What the policy lets a container know about its own CPUs, and the files that it reads that in."""

from collections.abc import Collection

from cri_resmgr.cri.messages import Mount
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.exporting import Exporter
from cri_resmgr.values.workloads import Container


class Exports:
    """The policy's words, and `Exporter`'s files."""

    def __init__(self, exporter: Exporter, decider: Decider) -> None:
        self._exporter, self._decider = exporter, decider

    def mount_for(self, container: Container) -> Mount | None:
        """What to mount into a container that is about to be made, None for nothing."""
        return self._exporter.mount_for(container, self._decider.exports(container))

    def changed(self, container: Container) -> None:
        """The container's holding may have changed."""
        self._exporter.changed(container, self._decider.exports(container))

    def gone(self, container: Container) -> None:
        """The container is removed, or was never made."""
        self._exporter.gone(container)

    def sweep(self, keys: Collection[str]) -> None:
        """Only these containers are left."""
        self._exporter.sweep(keys)

    async def close(self) -> None:
        """Wait until all is written."""
        await self._exporter.close()
