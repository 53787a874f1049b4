"""Trains one environment with Stable-Baselines3 and its zoo's tuned settings, and prints one JSON object.

`.venv-sb3/bin/python benchmarks/sb3/learn.py CartPole-v1 ppo --seed 0` runs in the environment that `setup.sh` makes.
The settings are those that rl_zoo3 carries; its conventions (`normalize`, `lin_`, noise, `policy_kwargs`) are followed
as rl_zoo3's experiment manager reads them. The last policy, not the best one, is judged by its deterministic actions.
"""
# Stable-Baselines3 is not in the project's own environment, where types are checked.
# pyright: reportMissingImports=false

import argparse
import ast
import importlib.util
import json
import math
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

ALGORITHMS = {"a2c": A2C, "ddpg": DDPG, "dqn": DQN, "ppo": PPO, "sac": SAC, "td3": TD3}
ACTIVATIONS = {"elu": torch.nn.ELU, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
JUDGING_SEED = 1_000_000
"""Seeds of judging begin here, far from those of training."""


def zoo_settings(algorithm: str, environment: str) -> dict[str, Any]:
    """The tuned settings that rl_zoo3 carries, as they stand there."""
    package = importlib.util.find_spec("rl_zoo3")
    if package is None or package.origin is None:
        raise ValueError("rl_zoo3 is not installed; setup.sh installs it")
    file = Path(package.origin).parent / "hyperparams" / f"{algorithm}.yml"
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    if environment not in found:
        raise ValueError(f"rl_zoo3 tuned {algorithm} for no {environment}; choose from {', '.join(sorted(found))}")
    return found[environment]


def scheduled(value: Any) -> Any:
    """`lin_x` as the schedule that falls from x to 0 over the training, all else as it is."""
    if not (isinstance(value, str) and value.startswith("lin_")):
        return value
    initial = float(value.removeprefix("lin_"))
    return lambda remaining: remaining * initial


def keywords(call: str | dict[str, Any]) -> dict[str, Any]:
    """What `policy_kwargs` are: the keywords of a `dict(…)` written as text, as rl_zoo3 has them, or a mapping."""
    if isinstance(call, str):
        expression = ast.parse(call, mode="eval").body
        assert isinstance(expression, ast.Call)
        call = {str(entry.arg): ast.literal_eval(entry.value) for entry in expression.keywords}
    activation = call.get("activation_fn")
    return {**call, "activation_fn": ACTIVATIONS[activation]} if activation else call


def make_world(environment: str, settings: dict[str, Any], seed: int) -> VecEnv:
    """The copies that the settings ask for, normalised if they say so; takes these entries out of the settings."""
    world: VecEnv = make_vec_env(environment, n_envs=settings.pop("n_envs", 1), seed=seed)
    if settings.pop("normalize", False):
        world = VecNormalize(world, gamma=settings.get("gamma", 0.99))
    return world


def make_model(algorithm: str, world: VecEnv, settings: dict[str, Any], seed: int) -> Any:
    """The learner with the rest of the settings."""
    kind, spread = settings.pop("noise_type", None), settings.pop("noise_std", 0.0)
    if kind is not None:
        noises = {"normal": NormalActionNoise, "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise}
        assert world.action_space.shape is not None
        size = world.action_space.shape[0]
        settings["action_noise"] = noises[kind](mean=np.zeros(size), sigma=spread * np.ones(size))
    if "policy_kwargs" in settings:
        settings["policy_kwargs"] = keywords(settings["policy_kwargs"])
    for name in ("learning_rate", "clip_range"):
        if name in settings:
            settings[name] = scheduled(settings[name])
    return ALGORITHMS[algorithm](settings.pop("policy"), world, seed=seed, device="cpu", **settings)


def judge(model: Any, environment: str, world: VecEnv, seed: int, episodes: int) -> list[float]:
    """The returns of fresh episodes by deterministic actions."""
    fresh: VecEnv = make_vec_env(environment, n_envs=10, seed=JUDGING_SEED + 1000 * seed)
    if isinstance(world, VecNormalize):
        fresh = VecNormalize(fresh, training=False, norm_reward=False)
        fresh.obs_rms = world.obs_rms
    returns, _ = evaluate_policy(model, fresh, episodes, deterministic=True, return_episode_rewards=True)
    fresh.close()
    return [float(value) for value in returns]


def learn(chosen: argparse.Namespace) -> dict[str, Any]:
    """One run: what was learned with, how long it took and what the last policy returns."""
    torch.set_num_threads(chosen.threads)
    settings = zoo_settings(chosen.trainer, chosen.environment)
    told = dict(settings)
    settings = dict(settings)
    steps = chosen.steps or int(settings["n_timesteps"])
    settings.pop("n_timesteps")
    world = make_world(chosen.environment, settings, chosen.seed)
    model = make_model(chosen.trainer, world, settings, chosen.seed)
    start, cpu = time.perf_counter(), time.process_time()
    model.learn(steps)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    taken = int(model.num_timesteps)
    returns = judge(model, chosen.environment, world, chosen.seed, chosen.episodes)
    if not all(map(math.isfinite, returns)):
        raise ValueError("the policy's returns are no finite numbers")
    world.close()
    return {
        "library": "sb3",
        "environment": chosen.environment,
        "trainer": chosen.trainer,
        "seed": chosen.seed,
        "steps": steps,
        "steps_taken": taken,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "steps_per_second": round(taken / seconds, 1),
        "returns": [round(value, 3) for value in returns],
        "settings": told,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("stable_baselines3", "rl_zoo3", "gymnasium", "torch", "numpy")},
        },
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="a gymnasium id that rl_zoo3 has settings for")
    parser.add_argument("trainer", choices=sorted(ALGORITHMS))
    parser.add_argument("--seed", type=int, default=0, help="of the learning; judging has other ones (default: 0)")
    parser.add_argument("--steps", type=int, help="transitions to learn from (default: as rl_zoo3 says)")
    parser.add_argument("--episodes", type=int, default=100, help="to judge the last policy by (default: 100)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    print(json.dumps(learn(parser.parse_args())))


if __name__ == "__main__":
    main()
