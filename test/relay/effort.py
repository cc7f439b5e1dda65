"""How hard hypothesis tries in the tests of the relay."""

import os

from hypothesis import HealthCheck, Phase, settings

# No `explain`: it runs a failing example hundreds of times more.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
if "CRI_RESMGR_MUTANT" in os.environ:  # see hacks/mutate.py: that it fails is all that matters
    PHASES = [Phase.explicit, Phase.generate]


def examples(count: int, *, steps: int = 50) -> settings:
    """That many, each as long as it takes."""
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
