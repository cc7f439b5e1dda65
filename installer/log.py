"""Events on standard error: `noun.verb key=value …`, a line each; a pod's log has the time."""

import sys


def say(event: str, **facts: object) -> None:
    """One event; never a secret."""
    words = (f"{name}={_word(value)}" for name, value in facts.items())
    sys.stderr.write(" ".join((event, *words)) + "\n")
    sys.stderr.flush()


def _word(value: object) -> str:
    text = str(value)
    return text if text and not any(character in text for character in ' "\n=') else repr(text)
