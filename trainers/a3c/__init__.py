"""Asynchronous advantage actor-critic (Mnih et al. 2016): workers that learn one network from worlds of their own."""

from trainers.a3c.main import ACTIONS, Config, config_from, train

__all__ = ["ACTIONS", "Config", "config_from", "train"]
