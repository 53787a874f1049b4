"""The stock ML-Agents client and its messages, imported once the hooks of `compatibility` are in place."""

from typing import Any

from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, ObservationType, TerminalSteps
from mlagents_envs.communicator_objects import unity_message_pb2
from mlagents_envs.communicator_objects.command_pb2 import QUIT, RESET, STEP
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import UnityException, UnityTimeOutException, UnityWorkerInUseException
from mlagents_envs.logging_util import set_log_level
from mlagents_envs.rpc_utils import steps_from_proto
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel

UnityMessageProto: Any = unity_message_pb2.UnityMessageProto
"""Its fields exist at run time only, where no type checker sees them."""

__all__ = [
    "QUIT",
    "RESET",
    "STEP",
    "ActionTuple",
    "BehaviorSpec",
    "DecisionSteps",
    "EngineConfigurationChannel",
    "EnvironmentParametersChannel",
    "ObservationType",
    "StatsSideChannel",
    "TerminalSteps",
    "UnityEnvironment",
    "UnityException",
    "UnityMessageProto",
    "UnityTimeOutException",
    "UnityWorkerInUseException",
    "set_log_level",
    "steps_from_proto",
]
