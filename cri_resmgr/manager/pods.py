"""The intercepted calls about pods: they pass as they are, and the ledger follows what the runtime agrees to."""

from cri_resmgr.cri import messages, methods
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.decoding import decoded, forwarded_or_gone, id_in
from cri_resmgr.relay.hooks import Call, Hook


class Pods:
    """Hooks for RunPodSandbox, StopPodSandbox and RemovePodSandbox."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def hooks(self) -> dict[str, Hook]:
        """Who answers which method."""
        return {
            methods.RUN_POD_SANDBOX: self.run,
            methods.STOP_POD_SANDBOX: self.stop,
            methods.REMOVE_POD_SANDBOX: self.remove,
        }

    async def run(self, call: Call) -> bytes:
        """Remember the pod that the runtime has made."""
        with self._book.doubting():
            reply = await call.forward(call.request)
        pod = decoded(call, lambda: messages.pod_of_run(call.request, reply))
        if pod is not None:
            self._book.met(pod)
        return reply

    async def stop(self, call: Call) -> bytes:
        """The containers of a stopped pod have ended; one that is being created meanwhile speaks for itself."""
        known = [container.id for container in self._book.ledger.of_pod(id_in(call)) if container.id]
        with self._book.doubting():
            reply = await call.forward(call.request)
        for container in filter(None, map(self._book.ledger.by_id, known)):
            self._book.ended(container)
        return reply

    async def remove(self, call: Call) -> bytes:
        """Forget the pod, and all that was in it."""
        with self._book.doubting():
            return await forwarded_or_gone(call, lambda: self._book.gone(id_in(call)))
