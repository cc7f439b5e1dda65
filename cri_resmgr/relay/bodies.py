"""The bytes of a held message while they arrive."""


class Body:
    """One message as it arrives, and what its sender is owed of the stream's window."""

    __slots__ = ("data", "owed", "size")

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = self.owed = 0

    def add(self, data: bytes, size: int) -> None:
        """DATA of `size` with padding."""
        self.data += data
        self.size += len(data)
        self.owed += size

    def grant(self, initial: int) -> int:
        """How much window to give back now: nothing before half an initial window has come."""
        if not self.owed or self.owed * 2 < initial:
            return 0
        owed, self.owed = self.owed, 0
        return owed
