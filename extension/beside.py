"""What a shoot has beside its own objects, in its namespace of the seed: monitoring, and the webhook's certificate.

Nothing of it is waited for, and nothing of it has to be in order for a shoot to be rid of us.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from extension.carrying import Cargo, Carrier
from extension.certifying import Certifier
from extension.rendering.inputs import Certificate
from extension.rendering.managed import monitoring_resource
from extension.rendering.monitoring import monitoring


@dataclass(frozen=True, slots=True)
class Beside:
    """Keeps it as it should be."""

    carrier: Carrier
    """Of the monitoring's ManagedResource."""
    certifier: Certifier
    parts: Sequence[str]
    """Of `rendering.monitoring.PARTS`; none for no monitoring."""

    async def is_there(self, namespace: str) -> bool:
        """Is the monitoring as it should be?"""
        if not self.parts:
            return await self.carrier.find(namespace) is None
        return await self.carrier.is_there(self._cargo(namespace))

    async def bring(self, namespace: str) -> None:
        """Make it so.  Raises Conflict when others will not let us."""
        if self.parts:
            await self.carrier.bring(self._cargo(namespace))
        elif await self.carrier.find(namespace) is not None:
            await self._without_monitoring(namespace)

    async def certificate(self, namespace: str) -> Certificate:
        """What the shoot's webhook serves with.  Raises Conflict if another one is just making it."""
        return await self.certifier.certificate(namespace)

    async def forget(self, namespace: str) -> None:
        """Take all of it away."""
        await self._without_monitoring(namespace)
        await self.certifier.forget(namespace)

    async def _without_monitoring(self, namespace: str) -> None:
        await self.carrier.take_away(namespace)
        await self.carrier.sweep(namespace)

    def _cargo(self, namespace: str) -> Cargo:
        return Cargo(*monitoring_resource(namespace=namespace, objects=monitoring(namespace, self.parts)))
