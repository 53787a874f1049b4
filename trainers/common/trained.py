"""The networks of an off-policy learner with their optimisers: stepped, slowed down and saved together."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainers.common import checkpoint
from trainers.common.off_policy import Settings
from trainers.common.schedules import scheduled_rate
from trainers.common.training import MAY_CHANGE, plain


class Trained:
    """Networks by name, each with an Adam of its own if it learns, and the generator of the learner's noise.

    Args:
        config: of the trainer.
        device: where all of it lives.
        learning: networks that `descend` changes.
        following: networks that are changed otherwise.
        rate_share: learning rates of some of the learning ones, as a share of the config's.
    """

    def __init__(
        self,
        config: Settings,
        device: torch.device,
        learning: Mapping[str, nn.Module],
        following: Mapping[str, nn.Module],
        rate_share: Mapping[str, float] | None = None,
    ) -> None:
        self.device = device
        self.generator = torch.Generator(device).manual_seed(config.seed)
        self.gradient_steps = 0
        self.learning_rate = config.learning_rate
        self._config = config
        self._modules = {**learning, **following}
        self._rate_share = {name: (rate_share or {}).get(name, 1.0) for name in learning}
        self._parameters = {name: list(module.parameters()) for name, module in learning.items()}
        self._optimisers = {
            name: torch.optim.Adam(parameters, lr=config.learning_rate * self._rate_share[name], fused=True)
            for name, parameters in self._parameters.items()
        }

    def descend(self, name: str, loss: Tensor, max_grad_norm: float | None = None) -> None:
        """One step of that network down the gradient of a loss, scaled down to that length if there is one."""
        optimiser = self._optimisers[name]
        optimiser.zero_grad()
        loss.backward()
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters[name], max_grad_norm)
        optimiser.step()

    def schedule(self, steps: int) -> None:
        """Set the learning rate for what comes after so many transitions."""
        config = self._config
        self._set_learning_rate(scheduled_rate(config.learning_rate, config.schedule, steps, config.steps))

    def figures(self) -> dict[str, Tensor]:
        """For the log."""
        return {"Policy/Learning Rate": torch.tensor(self.learning_rate)}

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {
            "config": plain(self._config),
            "device": self.device.type,
            "modules": {name: module.state_dict() for name, module in self._modules.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self._optimisers.items()},
            "generator": self.generator.get_state(),
            "learning_rate": self.learning_rate,
            "gradient_steps": self.gradient_steps,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Raises:
            CheckpointError: if it was made with other settings or for another world.
        """
        checkpoint.require_same(state["config"], plain(self._config), free=MAY_CHANGE)
        try:
            for name, module in self._modules.items():
                module.load_state_dict(state["modules"][name])
        except RuntimeError as error:
            raise checkpoint.CheckpointError(f"the checkpoint is of another task or robot: {error}") from error
        for name, optimiser in self._optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        if state["device"] == self.device.type:
            self.generator.set_state(state["generator"])
        else:
            # Another kind of device draws other numbers anyway; only the same ones again would be wrong.
            self.generator.manual_seed(self._config.seed + state["gradient_steps"])
        self.gradient_steps = state["gradient_steps"]
        self._set_learning_rate(state["learning_rate"])

    def _set_learning_rate(self, rate: float) -> None:
        self.learning_rate = rate
        for name, optimiser in self._optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = rate * self._rate_share[name]
