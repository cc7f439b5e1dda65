"""What goes wrong on the seed's side, below the one tree of errors; the cause is chained.

BadInput
└── ConfigurationProblem   the shoot's owner wrote it: gardenlet is told so, and the shoot waits for him
Degraded
├── BaseProblem            the operator's own configuration is wrong, which no shoot's owner can mend
└── NotYet                 something that must come first is not there: tried again by itself
"""

from cri_resmgr.errors import BadInput, Degraded

CONFIGURATION_PROBLEM = "ERR_CONFIGURATION_PROBLEM"
"""Gardener's code for what only the user can mend: gardenlet stops trying, and the shoot is Failed."""


class ConfigurationProblem(BadInput):
    """What the shoot's owner wrote cannot be used; nothing was changed."""


class BaseProblem(Degraded):
    """What the ControllerDeployment says cannot be used."""


class NotYet(Degraded):
    """Something that must come first is not there."""


def codes(error: BaseException) -> tuple[str, ...]:
    """The codes that gardenlet is given with an error: none unless only the user can mend it."""
    return (CONFIGURATION_PROBLEM,) if isinstance(error, ConfigurationProblem) else ()
