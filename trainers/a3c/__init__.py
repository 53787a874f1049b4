"""Asynchronous advantage actor-critic (Mnih et al. 2016): workers that learn one network from worlds of their own."""

from trainers.a3c.main import ACTIONS, MAKES_A_WORLD_PER_WORKER, Config, config_from, train

__all__ = ["ACTIONS", "MAKES_A_WORLD_PER_WORKER", "Config", "config_from", "train"]
