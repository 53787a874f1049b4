"""Means over the episodes that ended, each episode counting once."""

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.common.vec_env import Episodes

RECENT = 200
"""Episodes behind the running figures that the progress view shows."""


class EpisodeStatistics:
    """Collects ended episodes; `means` gives their averages under ML-Agents' TensorBoard names and starts over."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)
        self._recent_success: deque[float] = deque(maxlen=RECENT)
        self._recent_return: deque[float] = deque(maxlen=RECENT)

    def add(self, episodes: Episodes) -> None:
        """Take in the episodes that ended in one step."""
        if len(episodes.length) == 0:
            return
        self._values["Environment/Cumulative Reward"].append(episodes.total_reward)
        self._values["Environment/Episode Length"].append(episodes.length)
        self._values["Environment/Success"].append(episodes.success)
        for prefix, named in (
            ("Reward", episodes.terms),
            ("RewardRaw", episodes.raw_terms),
            ("Metrics", episodes.metrics),
        ):
            for name, values in named.items():
                self._values[f"{prefix}/{name}"].append(values)
        self._recent_success.extend(np.asarray(episodes.success, dtype=float).tolist())
        self._recent_return.extend(np.asarray(episodes.total_reward, dtype=float).tolist())

    def means(self) -> dict[str, float]:
        """The average of every figure over the episodes since the last call; metrics that are NaN don't count."""
        joined = {name: np.concatenate(values).astype(np.float64) for name, values in self._values.items()}
        self._values.clear()
        known = {name: values[~np.isnan(values)] for name, values in joined.items()}
        means = {name: float(values.mean()) for name, values in known.items() if len(values)}
        if "Environment/Episode Length" in joined:
            means["Environment/Episodes"] = float(len(joined["Environment/Episode Length"]))
        return means

    @property
    def recent_success(self) -> float:
        """Share of the last episodes that succeeded, NaN before the first."""
        return float(np.mean(self._recent_success)) if self._recent_success else float("nan")

    @property
    def recent_return(self) -> float:
        """Mean return of the last episodes, NaN before the first."""
        return float(np.mean(self._recent_return)) if self._recent_return else float("nan")

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {
            "values": {name: np.concatenate(values) for name, values in self._values.items()},
            "recent_success": list(self._recent_success),
            "recent_return": list(self._recent_return),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._values = defaultdict(list, {name: [values] for name, values in state["values"].items()})
        self._recent_success = deque(state["recent_success"], maxlen=RECENT)
        self._recent_return = deque(state["recent_return"], maxlen=RECENT)
