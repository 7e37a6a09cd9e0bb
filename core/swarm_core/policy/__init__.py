"""Pure decisions: the state in, effects out. No input or output, no clock."""

from .decide import decide
from .effects import Act, Effect, Record

__all__ = ["Act", "Effect", "Record", "decide"]
