"""The objects of an installation, remembered: most shoots of a seed have the same, and rendering them takes 6 ms."""

import asyncio
import pickle
from collections import OrderedDict
from hashlib import sha256

from cri_resmgr.kube.resources import Object
from extension.checking import SHORT_CHARS
from extension.rendering import Installation, objects

REMEMBERED = 32


class Renderer:
    """Makes objects of installations; nobody may change what it gives."""

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, tuple[Object, ...]] = OrderedDict()

    async def objects(self, installation: Installation) -> tuple[Object, ...]:
        """What the shoot gets; long configurations are read in a thread.  Raises BadInput."""
        digest = sha256(pickle.dumps(installation)).digest()
        made = self._made.get(digest)
        if made is None:
            long = sum(map(len, installation.configs.values())) > SHORT_CHARS
            made = await asyncio.to_thread(objects, installation) if long else objects(installation)
            self._made[digest] = made
        self._made.move_to_end(digest)
        while len(self._made) > REMEMBERED:
            self._made.popitem(last=False)
        return made
