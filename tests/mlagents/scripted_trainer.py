"""A trainer that answers a player from a script, for saying what the stock client never says."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from companion.mlagents.stock import RESET, STEP, UnityMessageProto


@dataclass
class Script:
    """What the trainer answers, in order, and what it has heard; when the answers run out it ends the session."""

    answers: list[bytes]
    port: int = 0
    heard: list[Any] = field(default_factory=list)

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.heard.append(UnityMessageProto.FromString(request))
        if len(self.heard) > len(self.answers):
            return UnityMessageProto(header={"status": 400}).SerializeToString()
        reply = self.answers[len(self.heard) - 1]
        if reply == b"hang up":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the trainer was killed")
        return reply


@contextmanager
def trainer(answers: Sequence[bytes]) -> Iterator[Script]:
    """A listening trainer; its port is in the script."""
    script = Script(list(answers))
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(script.answer)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("communicator_objects.UnityToExternalProto", {"Exchange": handler}),)
    )
    script.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield script
    finally:
        server.stop(0)


def welcome(seed: int = 7, areas: int = 1, version: str = "1.5.0") -> bytes:
    """The first answer."""
    message = UnityMessageProto(header={"status": 200})
    init = message.unity_input.rl_initialization_input
    init.seed, init.num_areas, init.communication_version, init.package_version = seed, areas, version, "1.1.0"
    return message.SerializeToString()


def reset(side_channel: bytes = b"") -> bytes:
    """Ask for a reset."""
    message = UnityMessageProto(header={"status": 200})
    message.unity_input.rl_input.command = RESET
    message.unity_input.rl_input.side_channel = side_channel
    return message.SerializeToString()


def step(action: Any = None, behavior: str = "Counting?team=0", twice: bool = True, side_channel: bytes = b"") -> bytes:
    """Send actions `[agents, n]`; `twice` is how the stock client writes them."""
    message = UnityMessageProto(header={"status": 200})
    message.unity_input.rl_input.command = STEP
    message.unity_input.rl_input.side_channel = side_channel
    for row in np.asarray(action if action is not None else []).tolist():
        item = message.unity_input.rl_input.agent_actions[behavior].value.add()
        item.continuous_actions.extend(row)
        if twice:
            item.vector_actions_deprecated.extend(row)
    return message.SerializeToString()
