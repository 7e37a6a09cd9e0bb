"""Which tool calls the operator's rules refuse, ask about or let pass, and what of a repository may run at all."""

from .rule import Decision, Rule
from .rules import RuleSet, compile_rules

__all__ = ["Decision", "Rule", "RuleSet", "compile_rules"]
