"""The stock ML-Agents client with the slow parts of its hot path replaced; the conversation is the same, byte for byte.

At 64 agents the stock client spends more time on a step than the physics: it writes every number of every action on
its own, twice, reads every number of an observation on its own, and pickles each message twice on its way between two
threads. Here actions and observations are taken as tables, and threads hand messages over as they are.
"""

import atexit
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

import grpc
from mlagents_envs.communicator import PollCallback
from mlagents_envs.rpc_communicator import RpcCommunicator

from companion.mlagents import messages
from companion.mlagents._steps import read_steps
from companion.mlagents.stock import (
    STEP,
    ActionTuple,
    DecisionSteps,
    TerminalSteps,
    UnityEnvironment,
    UnityMessageProto,
    UnityWorkerInUseException,
)

_LOOPBACK = ("127.0.0.1", "[::1]")
_CLOSING_S = 5.0
"""How long to wait for the server's end."""


class FastEnvironment(UnityEnvironment):
    """A `UnityEnvironment` for many agents; listens on the loopback only."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """As `UnityEnvironment`, but one that fails leaves neither a player nor a listening port behind."""
        try:
            super().__init__(*arguments, **settings)
        except BaseException:
            atexit.unregister(self._close)
            if hasattr(self, "_communicator"):
                self._close(0)
            raise

    @staticmethod
    def _get_communicator(worker_id: int, base_port: int, timeout_wait: int) -> RpcCommunicator:
        return _Communicator(worker_id, base_port, timeout_wait)

    def _generate_step_input(self, vector_action: Mapping[str, ActionTuple]) -> Any:
        """The stock client's message, its actions written as one table."""
        tables = {name: action for name, action in vector_action.items() if len(self._env_state[name][0])}
        wanted = UnityMessageProto()
        wanted.unity_input.rl_input.command = STEP
        wanted.unity_input.rl_input.side_channel = bytes(self._side_channel_manager.generate_side_channel_messages())
        wanted.unity_input.MergeFromString(messages.step_input(tables))
        return wanted.unity_input

    def _update_state(self, output: Any) -> None:
        """What every behaviour's agents tell, and the side channels' messages."""
        for name, spec in self._env_specs.items():
            if name in output.agentInfos:
                self._env_state[name] = read_steps(output.agentInfos[name].value, spec)
            else:
                self._env_state[name] = (DecisionSteps.empty(spec), TerminalSteps.empty(spec))
        self._side_channel_manager.process_side_channel_message(output.side_channel)


class _Communicator(RpcCommunicator):
    """The gRPC server, whose thread hands messages to the caller's thread without pickling them."""

    def create_server(self) -> None:
        self.check_port(self.port)
        self.unity_to_external = _Exchange()
        handler = grpc.unary_unary_rpc_method_handler(
            self.unity_to_external.exchange, UnityMessageProto.FromString, UnityMessageProto.SerializeToString
        )
        service = grpc.method_handlers_generic_handler(
            "communicator_objects.UnityToExternalProto", {"Exchange": handler}
        )
        self.server = grpc.server(ThreadPoolExecutor(max_workers=2), options=[("grpc.max_receive_message_length", -1)])
        self.server.add_generic_rpc_handlers((service,))
        listening = [host for host in _LOOPBACK if self._listens(host)]
        if not listening:
            raise UnityWorkerInUseException(self.worker_id)
        self.server.start()
        self.is_open = True

    def initialize(self, inputs: Any, poll_callback: PollCallback | None = None) -> Any:
        """Answer the player's hello; also watches over the second message, during which a player builds its world."""
        hello = self._next(poll_callback).unity_output
        answer = UnityMessageProto(header={"status": 200})
        answer.unity_input.CopyFrom(inputs)
        self.unity_to_external.parent_conn.send(answer)
        self._next(poll_callback)
        return hello

    def close(self) -> None:
        """As the stock one, but the port is free afterwards, for a player that is started again."""
        if self.is_open:
            super().close()
            self.server.stop(None).wait(_CLOSING_S)

    def _next(self, poll_callback: PollCallback | None) -> Any:
        self.poll_for_timeout(poll_callback)
        return self.unity_to_external.parent_conn.recv()

    def _listens(self, host: str) -> bool:
        """Whether that address could be bound; a machine may be without IPv6."""
        try:
            return self.server.add_insecure_port(f"{host}:{self.port}") != 0
        except RuntimeError:
            return False


class _Exchange:
    """Both ends of the way between the server's thread and the caller's, with a pipe's methods."""

    def __init__(self) -> None:
        to_caller: SimpleQueue[Any] = SimpleQueue()
        to_server: SimpleQueue[Any] = SimpleQueue()
        self.parent_conn = _End(to_caller, to_server)
        self.child_conn = _End(to_server, to_caller)

    def exchange(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Hand a player's message over and wait for the answer."""
        del context
        self.child_conn.send(request)
        return self.child_conn.recv()


class _End:
    """One end, with as much of a `Connection` as the stock communicator uses."""

    def __init__(self, incoming: "SimpleQueue[Any]", outgoing: "SimpleQueue[Any]") -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._polled: list[Any] = []

    def send(self, message: Any) -> None:
        self._outgoing.put(message)

    def recv(self) -> Any:
        return self._polled.pop() if self._polled else self._incoming.get()

    def poll(self, timeout_s: float) -> bool:
        """Wait for a message, in turns between which the caller looks whether the player still lives."""
        try:
            self._polled.append(self._incoming.get(timeout=min(max(timeout_s, 0.1), 0.5)))
        except Empty:
            return False
        return True

    def close(self) -> None:
        """Nothing to give back."""
