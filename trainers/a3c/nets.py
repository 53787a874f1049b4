"""The networks that all workers learn together, in shared memory, and the RMSprop statistics that they share."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.common.actions import ActionSpace
from trainers.common.networks import Critic
from trainers.common.normaliser import Normaliser
from trainers.common.on_policy import NetworkSettings, networks


class Nets(nn.Module):
    """Actor and critic, whose parameters are parts of one vector, and their gradients parts of another one.

    So a worker copies the global parameters, and changes them, with one operation on all of them.
    """

    def __init__(self, observations: int, space: ActionSpace, config: NetworkSettings) -> None:
        super().__init__()
        self.actor, self.critic = networks(observations, space, config)
        parameters = list(self.parameters())
        self.vector = torch.cat([parameter.detach().flatten() for parameter in parameters])
        self.gradient = torch.zeros_like(self.vector)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, value, gradient in zip(
            parameters, self.vector.split(sizes), self.gradient.split(sizes), strict=True
        ):
            parameter.data = value.view_as(parameter)
            parameter.grad = gradient.view_as(parameter)

    def follow(self, other: "Nets") -> None:
        """Become equal to other networks."""
        self.vector.copy_(other.vector)
        for mine, theirs in zip(self.buffers(), other.buffers(), strict=True):
            mine.copy_(theirs)


@dataclass(frozen=True)
class MeanSquare:
    """RMSprop's running mean of squared gradients, one for all workers.

    It starts as the mean of nothing. Taken for a mean of zeros, it would make the first step 1/√(1 - α) times too long.
    """

    total: Tensor
    """Σ (1 - α) α^k Δθ² over all gradients Δθ, of age k."""
    weight: Tensor
    """Σ (1 - α) α^k, by which the total is divided: 1 - α^t after t gradients (Kingma and Ba 2015, sec. 3)."""

    @classmethod
    def of_nothing(cls, parameters: Tensor) -> "MeanSquare":
        """Before the first gradient."""
        return cls(torch.zeros_like(parameters), torch.zeros(()))


class GlobalNets:
    """The networks that workers follow and change, in memory that all of them see.

    Args:
        nets: their first values.
    """

    def __init__(self, nets: Nets) -> None:
        self.nets = nets
        self.mean_square = MeanSquare.of_nothing(nets.vector)
        for tensor in (nets.vector, self.mean_square.total, self.mean_square.weight, *nets.buffers()):
            tensor.share_memory_()


@dataclass(frozen=True)
class Rmsprop:
    """RMSprop without momentum."""

    rate: float
    """η."""
    decay: float
    """α: how much of the mean square is kept."""
    epsilon: float
    """ε, added below the root."""

    def step(self, parameters: Tensor, mean_square: MeanSquare, gradient: Tensor) -> None:
        """Change the parameters and the mean square in place, without a lock.

        g ← α g + (1 - α) Δθ², θ ← θ - η Δθ / √(g + ε) (Mnih et al. 2016, eq. S2 and S3), with g over its weight.
        """
        mean_square.total.mul_(self.decay).addcmul_(gradient, gradient, value=1 - self.decay)
        mean_square.weight.mul_(self.decay).add_(1 - self.decay)
        mean = mean_square.total / mean_square.weight
        parameters.addcdiv_(gradient, mean.add_(self.epsilon).sqrt_(), value=-self.rate)


@torch.no_grad()
def adopt_scale(critic: Critic, returns: Normaliser) -> None:
    """Let a critic predict in units of these returns, while its predictions stay as they are (Pop-Art)."""
    last, own = critic.body.last, critic.returns
    ratio = returns.scale / own.scale
    last.weight.mul_(ratio)
    last.bias.mul_(ratio).add_((own.shift - returns.shift) * returns.scale)
    for mine, theirs in zip(own.buffers(), returns.buffers(), strict=True):
        mine.copy_(theirs)
