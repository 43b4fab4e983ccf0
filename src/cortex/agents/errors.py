"""What can go wrong with plans.

::

    CortexError
    └── PlanInvalid     a plan with a cycle, an unknown dependency or too many steps
"""

from cortex.foundation.errors import CortexError


class PlanInvalid(CortexError):
    """A plan that must not leave the service; ``data['problems']`` says why."""

    code = "PLAN_INVALID"
