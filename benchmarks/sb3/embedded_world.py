"""Our embedded tasks as a VecEnv of Stable-Baselines3: the same copies, stepped together, with nothing in between."""
# Stable-Baselines3 is not in the project's own environment, where types are checked.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from companion.worlds.embedded import EmbeddedWorld


class EmbeddedVecEnv(VecEnv):
    """Copies of a task; an episode that was cut off tells so, with its last observation, as SB3 wants it."""

    def __init__(self, world: EmbeddedWorld, seed: int) -> None:
        self.world = world
        self._seed = seed
        observation = Box(-np.inf, np.inf, (world.observation_size,), np.float32)
        branches = world.discrete_branches
        action = Discrete(branches[0]) if branches else Box(-1.0, 1.0, (world.action_size,), np.float32)
        # Most copies have nothing to tell in most steps: these are shared, and never written to.
        self._silence: list[dict[str, Any]] = [{} for _ in range(world.num_envs)]
        self._action = np.zeros((world.num_envs, world.action_size), np.float32)
        super().__init__(world.num_envs, observation, action)

    def reset(self) -> NDArray[np.float32]:
        """Start every copy anew."""
        return self.world.reset(self._seed)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Remember what to do."""
        self._action = np.asarray(actions, np.float32).reshape(self.num_envs, -1)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Take the decision in every copy."""
        step = self.world.step(self._action)
        ended = step.terminated | step.truncated
        if not ended.any():
            return step.observation, step.reward, ended, self._silence
        infos = list(self._silence)
        for copy in np.flatnonzero(ended):
            infos[copy] = {
                "terminal_observation": step.final_observation[copy],
                "TimeLimit.truncated": bool(step.truncated[copy] and not step.terminated[copy]),
            }
        return step.observation, step.reward, ended, infos

    def close(self) -> None:
        """End the world."""
        self.world.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """One value for every copy asked about; SB3 asks for `render_mode`."""
        return [getattr(self, attr_name, None) for _ in self._rows(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """There are no single copies to set anything on."""
        raise NotImplementedError(f"the copies are stepped together; {attr_name} can't be set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """There are no single copies to ask."""
        raise NotImplementedError(f"the copies are stepped together; {method_name} can't be called")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No copy is."""
        return [False for _ in self._rows(indices)]

    def _rows(self, indices: Any) -> Sequence[int]:
        return range(self.num_envs)[:1] if isinstance(indices, int) else indices or range(self.num_envs)
