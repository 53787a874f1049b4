"""From what a robot measures to the signals that a policy was trained on, and from its action to a command.

One file per task, named as the task, with a class `Sense`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from companion.menu import choices, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from companion.deploy.senses._sense import Sense
    from companion.policy_card import PolicyCard


def names() -> Sequence[str]:
    """The tasks that can be deployed."""
    return choices(sys.modules[__name__])


def load(card: PolicyCard) -> Sense:
    """The senses for a policy's task.

    Raises:
        ValueError: if there are none for its task; lists the choices. Or if they don't give what it observes.
    """
    sense: Sense = pick(sys.modules[__name__], card.task, "task that can be deployed").Sense(card)
    given = {signal.name: signal.size for signal in sense.signals}
    for signal in card.observation:
        if given.get(signal.name) != signal.size:
            raise ValueError(
                f"the policy observes {signal.name}[{signal.size}], which the senses of {card.task} do not give;"
                f" they give {', '.join(f'{name}[{size}]' for name, size in given.items())}"
            )
    return sense
