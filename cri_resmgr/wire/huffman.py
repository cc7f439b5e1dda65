"""HPACK's Huffman code (RFC 7541 §5.2, appendix B).

The code is canonical: 257 lengths give all codes.  Decoding goes byte by byte over transitions that are worked out
when first met, behind a small cache of whole strings, since peers repeat themselves.
"""

MAX_STEPS = 20_000
MAX_TEXTS = 500
MAX_CACHED_SIZE = 200
END_OF_STRING = 256

# Code lengths in bits of the symbols 0..255 and of end-of-string, one byte each.
_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b0806060605050506060606"
    "06060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f05060506050606060507070606"
    "060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817171717151617161717181615141616"
    "1717151716161815161717151516151716171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a"
    "1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)


class HuffmanError(ValueError):
    """A string that no encoder writes."""


def _codes() -> dict[int, int]:
    """Codes to symbols.  A leading 1 bit marks where a code starts, so that one int holds code and length."""
    found: dict[int, int] = {}
    code = width = 0
    for symbol in sorted(range(END_OF_STRING + 1), key=lambda s: (_LENGTHS[s], s)):
        code <<= _LENGTHS[symbol] - width
        width = _LENGTHS[symbol]
        found[1 << width | code] = symbol
        code += 1
    return found


_SYMBOLS = _codes()
_PADDINGS = frozenset((1 << n + 1) - 1 for n in range(8))  # zero to seven 1 bits behind the leading one


class Huffman:
    """A decoder with its caches; all connections of a process may share one."""

    def __init__(self) -> None:
        self._steps: dict[int, tuple[int, bytes]] = {}  # pending bits and next byte -> pending bits and text
        self._texts: dict[bytes, bytes] = {}

    def decode(self, data: bytes) -> bytes:
        """The text; raises `HuffmanError`."""
        text = self._texts.get(data)
        if text is None:
            text = self._decode(data)
            if len(self._texts) > MAX_TEXTS:
                self._texts.clear()
            if len(data) < MAX_CACHED_SIZE:
                self._texts[data] = text
        return text

    def _decode(self, data: bytes) -> bytes:
        steps, bits, parts = self._steps, 1, []
        for byte in data:
            key = bits << 8 | byte
            bits, part = steps.get(key) or self._step(key)
            parts.append(part)
        if bits not in _PADDINGS:
            raise HuffmanError("bad padding of a Huffman string")
        return b"".join(parts)

    def _step(self, key: int) -> tuple[int, bytes]:
        bits, text = key >> 8, bytearray()
        for shift in range(7, -1, -1):
            bits = bits << 1 | key >> shift & 1
            symbol = _SYMBOLS.get(bits)
            if symbol == END_OF_STRING:
                raise HuffmanError("end-of-string code inside a Huffman string")
            if symbol is not None:
                text.append(symbol)
                bits = 1
        step = bits, bytes(text)
        if len(self._steps) < MAX_STEPS:
            self._steps[key] = step
        return step
