"""Shell patterns as Go's filepath.Match reads them: `*`, `?`, `[a-z]`, `[^a-z]`, none of them for a `/`.

A pattern may come from anybody who can make a pod, so matching must not take long: after each `*` the first place
that fits is as good as any later one, and is never reconsidered (an atomic group).
"""

import re

LIMIT_CHARS = 1024

_ONE = r"(?:\\.|[^\\\]\-])"
_SIGN = re.compile(rf"\*+|\?|\[\^?(?:{_ONE}(?:-{_ONE})?)+\]|\\.|[^*?\[\\]", re.DOTALL)
_MEMBERS = re.compile(rf"{_ONE}|-", re.DOTALL)


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, for `fullmatch`. Raises ValueError."""
    if len(pattern) > LIMIT_CHARS:
        raise ValueError(f"'{pattern[:60]}…' is no pattern: it has more than {LIMIT_CHARS} characters")
    segments, at = [""], 0
    while at < len(pattern):
        sign = _SIGN.match(pattern, at)
        if sign is None:
            raise ValueError(f"'{pattern[:60]}' is no pattern: close its [ and end it with no \\")
        if sign[0][0] == "*":
            segments.append("")
        else:
            segments[-1] += _one(sign[0])
        at = sign.end()
    first, *rest = segments
    inner = "".join(f"(?>[^/]*?{segment})" for segment in rest[:-1])
    last = f"[^/]*{rest[-1]}" if rest else ""
    try:
        return re.compile(first + inner + last, re.DOTALL)
    except re.error as error:
        raise ValueError(f"'{pattern[:60]}' is no pattern: {error}") from error


def _one(sign: str) -> str:
    """What stands for a single character."""
    if sign == "?":
        return "[^/]"
    if sign[0] != "[":
        return re.escape(sign[-1])
    negation = "^" if sign[1] == "^" else ""
    members = (one if one == "-" else re.escape(one[-1]) for one in _MEMBERS.findall(sign[1 + len(negation) : -1]))
    return f"(?!/)[{negation}{''.join(members)}]"
