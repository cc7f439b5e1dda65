"""The words that say how to log, the same on the command line and in a configuration."""

from cri_resmgr.errors import BadInput

LEVELS = ("debug", "info", "warning", "error", "fatal", "panic")
BACKENDS = ("fmt", "json")
SEVERITIES = ("info", "warning", "error", "fatal")  # klog's, which are also numbers from 0


def level(text: str) -> str:
    """One of LEVELS, in lower case. Raises BadInput."""
    if text.lower() not in LEVELS:
        raise BadInput(f"'{text}' is no level; write one of {', '.join(LEVELS)}")
    return text.lower()


def backend(text: str) -> str:
    """One of BACKENDS. Raises BadInput."""
    if text not in BACKENDS:
        raise BadInput(f"'{text}' is no form of log lines; write {' or '.join(BACKENDS)}")
    return text


def severity(text: str) -> str:
    """The level that a klog severity means, by its number or name. Raises BadInput."""
    if text.isdecimal() and int(text) < len(SEVERITIES):
        return SEVERITIES[int(text)]
    if text.lower() not in SEVERITIES:
        raise BadInput(f"'{text}' is no severity; write INFO, WARNING, ERROR or FATAL")
    return text.lower()
