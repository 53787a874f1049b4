"""One behavior of an mlagents-learn file in the words of our trainers.

Defaults are those of `mlagents.trainers.settings`, `ppo.optimizer_torch` and `sac.optimizer_torch` 1.1.0.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from companion.mlagents._config_node import Node

TrainerName = Literal["ppo", "sac"]
Read = Callable[[Node, str], Any]
"""Reads an entry of a mapping, or takes its default."""
Taken = dict[str, tuple[Any, str]]
"""Our names, each with a value and the `file:line` that it comes from."""


@dataclass(frozen=True)
class Behavior:
    """How the policy of one behavior learns."""

    name: str
    trainer: TrainerName
    settings: Mapping[str, Any]
    """Of our trainer of that name."""
    places: Mapping[str, str]

    def where(self, setting: str) -> str:
        """`file:line` of what a setting comes from."""
        return self.places[setting]


class Notes:
    """What is accepted but changes nothing here: of each name the first place."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    def add(self, node: Node, why: str) -> None:
        """Note a setting."""
        name = node.name.rpartition(".")[2]
        self._lines.setdefault(name, f"{node.where}: {name} changes nothing here: {why}")

    @property
    def lines(self) -> tuple[str, ...]:
        """One per name."""
        return tuple(self._lines.values())


def _whole(default: int, low: int = 1) -> Read:
    return lambda node, name: node.whole(name, default, low)


def _number(default: float, low: float = 0.0, high: float = float("inf")) -> Read:
    return lambda node, name: node.number(name, default, low, high)


def _positive(default: float) -> Read:
    return _number(default, low=1e-12)


def _word(default: str, allowed: Collection[str]) -> Read:
    return lambda node, name: node.choice(name, default, allowed)


def _flag(node: Node, name: str) -> bool:
    return node.flag(name)


_SCHEDULES = ("linear", "constant")

# Ours, theirs, and how it is read.
_BOTH: Mapping[str, tuple[str, Read]] = {
    "steps": ("max_steps", _whole(500_000)),
}
_PPO_BEHAVIOR = {**_BOTH, "time_horizon": ("time_horizon", _whole(64))}
_SAC_BEHAVIOR = {**_BOTH, "log_interval": ("summary_freq", _whole(50_000))}
_PPO: Mapping[str, tuple[str, Read]] = {
    "batch_size": ("batch_size", _whole(1024)),
    "buffer_size": ("buffer_size", _whole(10_240)),
    "learning_rate": ("learning_rate", _positive(3e-4)),
    "schedule": ("learning_rate_schedule", _word("linear", _SCHEDULES)),
    "entropy_coefficient": ("beta", _number(5e-3)),
    "entropy_schedule": ("beta_schedule", _word("linear", _SCHEDULES)),
    "clip": ("epsilon", _positive(0.2)),
    "clip_schedule": ("epsilon_schedule", _word("linear", _SCHEDULES)),
    "gae_lambda": ("lambd", _number(0.95, high=1.0)),
    "epochs": ("num_epoch", _whole(3)),
}
_SAC: Mapping[str, tuple[str, Read]] = {
    "batch_size": ("batch_size", _whole(128)),
    "buffer_size": ("buffer_size", _whole(50_000)),
    "learning_rate": ("learning_rate", _positive(3e-4)),
    "schedule": ("learning_rate_schedule", _word("constant", _SCHEDULES)),
    "warm_up_steps": ("buffer_init_steps", _whole(0, low=0)),
    "tau": ("tau", _number(0.005, high=1.0)),
    "updates_per_step": ("steps_per_update", lambda node, name: 1.0 / node.number(name, 1.0, 1e-3)),
    "initial_temperature": ("init_entcoef", _positive(1.0)),
}

_AS_THEIR_PPO: Mapping[str, Any] = {
    "activation": "silu",  # their Swish
    "initial_std": 1 / 3,  # their standard normal is cut at ±3 and divided by 3
    "final_clip": 0.1,
    "normalise_advantages": True,
    "max_grad_norm": 0.0,
    "stop_kl": 0.0,
}
_AS_THEIR_SAC: Mapping[str, Any] = {
    "activation": "silu",
    "n_step": 1,
    "policy_interval": 1,
    "learn_temperature": True,
    "target_entropy": -1.0,
    "target_entropy_share": 0.2,
}
"""What ML-Agents does and its files can't change."""

_BEHAVIOR = (
    "trainer_type", "hyperparameters", "network_settings", "reward_signals", "init_path", "keep_checkpoints",
    "checkpoint_interval", "even_checkpoints", "max_steps", "time_horizon", "summary_freq", "threaded", "self_play",
    "behavioral_cloning",
)  # fmt: skip
_NETWORK = (
    "normalize", "hidden_units", "num_layers", "vis_encode_type", "memory", "goal_conditioning_type", "deterministic",
)  # fmt: skip
_ENCODERS = ("simple", "nature_cnn", "resnet", "match3", "fully_connected")


def read_behavior(name: str, block: Node, default: Node | None, notes: Notes) -> Behavior:
    """A block under `behaviors`, with what it leaves to `default_settings`.

    Raises:
        companion.yaml_file.YamlError: for an unknown setting, a wrong value, or something that is not supported here.
    """
    block.only(_BEHAVIOR)
    _check_trainer_named(block, default)
    whole = block if default is None else block.over(with_schedules(default))
    trainer = cast(TrainerName, _trainer(whole))
    if default is not None and _trainer(default) != trainer:
        raise whole.need("trainer_type").wrong(f"is {trainer}, but default_settings are for {_trainer(default)}")
    _refuse(whole)
    _tell(whole, trainer, notes)
    network = whole.block("network_settings").only(_NETWORK)
    taken = _ppo(whole) if trainer == "ppo" else _sac(whole, notes)
    taken |= _network(network, taken["batch_size"][0], trainer) | _reward(whole, taken, notes)
    return Behavior(
        name,
        trainer,
        {ours: value for ours, (value, _) in taken.items()},
        {ours: at for ours, (_, at) in taken.items()},
    )


def with_schedules(default: Node) -> Node:
    """`default_settings` with PPO's schedules spelled out.

    ML-Agents fills them in before behaviors are laid over them, so a behavior that changes the learning rate's schedule
    leaves the others as they were.
    """
    default.only(_BEHAVIOR)
    if _trainer(default) != "ppo":
        return default
    given = default.block("hyperparameters")
    schedule = given.choice("learning_rate_schedule", "linear", _SCHEDULES)
    names = ("learning_rate_schedule", "beta_schedule", "epsilon_schedule")
    missing = {name: Node(given.where, f"{given.name}.{name}", schedule) for name in names if given.get(name) is None}
    spelled = Node(given.where, given.name, {**given.entries, **missing})
    return Node(default.where, default.name, {**default.entries, "hyperparameters": spelled})


def _trainer(block: Node) -> str:
    found = block.text("trainer_type", "ppo")
    if found not in ("ppo", "sac"):
        raise block.need("trainer_type").refused(f"'{found}'; choose from ppo, sac")
    return found


def _check_trainer_named(block: Node, default: Node | None) -> None:
    """ML-Agents wants to know whose hyperparameters they are."""
    hyperparameters = block.get("hyperparameters")
    if hyperparameters is not None and default is None and block.get("trainer_type") is None:
        raise hyperparameters.wrong("are given without a trainer_type")


def _ppo(whole: Node) -> Taken:
    hyper = whole.block("hyperparameters").only((*_theirs(_PPO), "shared_critic"))
    if hyper.flag("shared_critic"):
        raise hyper.need("shared_critic").refused("actor and critic are networks of their own")
    taken = _fixed(_AS_THEIR_PPO, whole) | _taken(whole, _PPO_BEHAVIOR) | _taken(hyper, _PPO)
    for ours, theirs in (("entropy_schedule", "beta_schedule"), ("clip_schedule", "epsilon_schedule")):
        if hyper.get(theirs) is None:
            taken[ours] = taken["schedule"]
    return taken


def _sac(whole: Node, notes: Notes) -> Taken:
    names = (*_theirs(_SAC), "save_replay_buffer", "reward_signal_steps_per_update")
    hyper = whole.block("hyperparameters").only(names)
    hyper.number("reward_signal_steps_per_update", 1.0, 1e-3)  # of reward signals that are learned; there are none
    if not hyper.flag("save_replay_buffer") and hyper.get("save_replay_buffer"):
        notes.add(hyper.need("save_replay_buffer"), "checkpoints always hold the replay buffer")
    return _fixed(_AS_THEIR_SAC, whole) | _taken(whole, _SAC_BEHAVIOR) | _taken(hyper, _SAC)


def _network(network: Node, batch_size: int, trainer: TrainerName) -> Taken:
    network.choice("vis_encode_type", "simple", _ENCODERS)  # of images, which the world refuses
    network.choice("goal_conditioning_type", "hyper", ("hyper", "none"))  # of goal signals, which the world refuses
    if network.flag("deterministic"):
        raise network.need("deterministic").refused("a policy that learns has to try")
    layers = network.whole("num_layers", 2, 1)
    taken: Taken = {
        "normalise_observations": (network.flag("normalize"), network.place("normalize")),
        "hidden_sizes": ((network.whole("hidden_units", 128, 1),) * layers, network.place("hidden_units")),
    }
    memory = network.get("memory")
    if memory is None:
        return taken
    if trainer == "sac":
        raise memory.refused("sac has no memory, ppo has")
    return taken | _memory(memory, batch_size)


def _memory(memory: Node, batch_size: int) -> Taken:
    """ML-Agents' memory_size counts the LSTM's hidden state and its cell."""
    memory.only(("sequence_length", "memory_size"))
    size, length = memory.whole("memory_size", 128, 2), memory.whole("sequence_length", 64, 1)
    if size % 2:
        raise memory.need("memory_size").wrong(f"is {size}; it must be even")
    if length > batch_size:
        raise memory.wrong(f"has a sequence_length of {length}, more than the batch_size of {batch_size}")
    return {
        "recurrent": (True, memory.where),
        "memory_size": (size // 2, memory.place("memory_size")),
        "sequence_length": (length, memory.place("sequence_length")),
    }


def _reward(whole: Node, taken: Taken, notes: Notes) -> Taken:
    """The discount of the one reward signal there is, and what its strength comes to.

    PPO brings its advantages to unit variance, whatever the reward's scale. SAC maximises strength x reward + α x
    entropy; reward + α / strength x entropy has the same optimum.
    """
    signals = whole.block("reward_signals").only(("extrinsic", "curiosity", "rnd", "gail"))
    for name in ("curiosity", "rnd", "gail"):
        if signals.get(name) is not None:
            raise signals.need(name).refused("rewards are the environment's own")
    if whole.get("reward_signals") is not None and "extrinsic" not in signals.entries:
        raise signals.wrong("name no extrinsic reward")
    extrinsic = signals.block("extrinsic").only(("gamma", "strength", "network_settings"))
    extrinsic.block("network_settings").only(_NETWORK)  # ML-Agents makes no use of it either
    discount: Taken = {"discount": (extrinsic.number("gamma", 0.99, 0.0, 1.0), extrinsic.place("gamma"))}
    strength = extrinsic.number("strength", 1.0, 1e-6)
    if "initial_temperature" in taken:
        temperature, place = taken["initial_temperature"]
        return discount | {"initial_temperature": (temperature / strength, place)}
    if strength != 1.0:
        notes.add(extrinsic.need("strength"), "ppo brings its advantages to one scale")
    return discount


def _refuse(whole: Node) -> None:
    for name, why in (
        ("init_path", "a policy starts from nothing"),
        ("self_play", "each behavior learns by itself"),
        ("behavioral_cloning", "there are no demonstrations"),
    ):
        if whole.get(name) is not None:
            raise whole.need(name).refused(why)


def _tell(whole: Node, trainer: TrainerName, notes: Notes) -> None:
    for name, why in (
        ("keep_checkpoints", "the last two checkpoints are kept"),
        ("checkpoint_interval", "a checkpoint is written every 30 s"),
    ):
        whole.whole(name, 1, 1)
        if whole.get(name) is not None:
            notes.add(whole.need(name), why)
    for name, why in (
        ("even_checkpoints", "a checkpoint is written every 30 s"),
        ("threaded", "acting and learning take turns"),
    ):
        if whole.flag(name):
            notes.add(whole.need(name), why)
    if trainer == "ppo" and whole.get("summary_freq") is not None:
        whole.whole("summary_freq", 1, 1)
        notes.add(whole.need("summary_freq"), "ppo writes its figures at each update")
    if trainer == "sac":
        whole.whole("time_horizon", 64, 1)  # where their trajectories are cut for the replay, which changes no sample


def _taken(node: Node, table: Mapping[str, tuple[str, Read]]) -> Taken:
    return {ours: (read(node, theirs), node.place(theirs)) for ours, (theirs, read) in table.items()}


def _fixed(values: Mapping[str, Any], node: Node) -> Taken:
    return {name: (value, node.where) for name, value in values.items()}


def _theirs(table: Mapping[str, tuple[str, Read]]) -> tuple[str, ...]:
    return tuple(theirs for theirs, _ in table.values())
