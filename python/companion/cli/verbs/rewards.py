"""The reward workbench: look inside recipes, test them, and judge them by what they lead to."""

from companion.cli import reward_verbs as VERBS

__all__ = ["VERBS"]
