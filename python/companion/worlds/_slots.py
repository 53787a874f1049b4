"""The rows of one behaviour: which agent fills which, and what the last step told about it.

A row is a slot that one agent after another may fill; agents may appear, vanish, decide when they like, keep their id
over episodes or get a new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.stock import ActionTuple, BehaviorSpec, DecisionSteps, ObservationType, TerminalSteps


@dataclass(frozen=True)
class BehaviorShape:
    """What a behaviour's agents see and do."""

    observation_sizes: tuple[int, ...]
    """Of its vector observations, which stand side by side in a row."""
    continuous: int
    branches: tuple[int, ...]
    """Choices of each discrete branch."""
    goals: tuple[str, ...] = ()
    """Names of the observations that are goal signals."""

    @property
    def observation_size(self) -> int:
        """Entries of all observations together."""
        return sum(self.observation_sizes)

    @property
    def action_size(self) -> int:
        """Columns of an action: continuous ones, then one per branch."""
        return self.continuous + len(self.branches)

    def row_layout(self) -> np.dtype[Any]:
        """What is told about each row after a step."""
        return np.dtype(
            [
                ("observation", np.float32, (self.observation_size,)),
                ("final_observation", np.float32, (self.observation_size,)),
                ("reward", np.float32),
                ("terminated", np.bool_),
                ("truncated", np.bool_),
                ("active", np.bool_),
                # Waits for an action, which the player gets with its next step.
                ("deciding", np.bool_),
                # Which choices of all branches are open.
                ("open", np.bool_, (sum(self.branches),)),
                # The action given last.
                ("taken", np.float32, (self.action_size,)),
                # When the episode that ended here did so among all that ended in this step, else -1.
                ("reported", np.int32),
            ]
        )


def shape_of(behavior: str, spec: BehaviorSpec) -> BehaviorShape:
    """What the agents of a behaviour see and do.

    Raises:
        ValueError: on images and observations of variable length, which no trainer here takes.
    """
    for observation in spec.observation_specs:
        if len(observation.shape) != 1:
            kind = "an image" if len(observation.shape) == 3 else "a list of variable length"
            raise ValueError(
                f"observation '{observation.name}' of {behavior} is {kind} of shape {observation.shape}; "
                f"only vectors can be trained on"
            )
    sizes = tuple(observation.shape[0] for observation in spec.observation_specs)
    action = spec.action_spec
    branches = tuple(int(size) for size in action.discrete_branches)
    goals = [each.name for each in spec.observation_specs if each.observation_type == ObservationType.GOAL_SIGNAL]
    return BehaviorShape(sizes, action.continuous_size, branches, tuple(goals))


def idle_choices(is_open: NDArray[np.bool_], branches: Sequence[int]) -> NDArray[np.int32]:
    """The first open choice of each branch `[rows, branches]`: what agents do that nobody drives."""
    parts = np.split(is_open, np.cumsum(branches)[:-1], axis=1)
    return np.stack([part.argmax(axis=1) for part in parts], axis=1).astype(np.int32)


Heard = Mapping[str, tuple[DecisionSteps, TerminalSteps]]
"""What one message of the player told of each team of a behaviour."""


class Slots:
    """The rows of one behaviour, whose agents may play in several teams."""

    def __init__(self, rows: int, shape: BehaviorShape) -> None:
        self.shape = shape
        self.table = np.zeros(rows, shape.row_layout())
        self.table["open"] = True
        self._row_of: dict[tuple[str, int], int] = {}
        self._pushed_out: set[tuple[str, int]] = set()
        self._last_heard = np.full(rows, _FREE)
        self._message = 0
        self._awaited = np.zeros(rows, bool)
        self._ends = 0
        self.deciding: dict[str, NDArray[np.int64]] = {}
        """Of each team, the rows whose agents wait for an action, in the order in which the player asked."""
        self._seated: dict[str, tuple[NDArray[np.int32], NDArray[np.int64]]] = {}
        """The agents of each team that decided last, and their rows."""

    def clear(self) -> None:
        """Nobody is known any more: the player was reset."""
        self._row_of.clear()
        self._seated.clear()
        self._pushed_out.clear()
        self._last_heard[:] = _FREE
        self._awaited[:] = False
        self._forget_step()
        self._nobody_decides()

    def act(self, action: NDArray[np.float32]) -> dict[str, ActionTuple]:
        """Begin a step with actions `[rows, action_size]`; those of the deciding agents, as the client takes them.

        What these agents answer from now on is their transition; the rows of others keep waiting for theirs.
        """
        self._forget_step()
        given = {}
        for team, rows in self.deciding.items():
            chosen = action[rows]
            self.table["taken"][rows] = chosen
            self._awaited[rows] = True
            continuous, discrete = chosen[:, : self.shape.continuous], chosen[:, self.shape.continuous :]
            given[team] = ActionTuple(continuous, discrete.astype(np.int32))
        return given

    def hear(self, heard: Heard) -> None:
        """Take in one message: ended episodes first, then who decides next."""
        self._message += 1
        self._nobody_decides()
        for team, (_, terminals) in heard.items():
            if len(terminals):
                self._hear_ends(team, terminals)
        deciding = {team: decisions for team, (decisions, _) in heard.items() if len(decisions)}
        known = {team: self._known_rows(team, decisions.agent_id) for team, decisions in deciding.items()}
        for team, decisions in deciding.items():
            self._hear_decisions(team, decisions, self._rows(team, decisions.agent_id, known[team]))

    def _hear_decisions(self, team: str, decisions: DecisionSteps, rows: NDArray[np.int64]) -> None:
        table = self.table
        answering = self._awaited[rows]
        answered = rows[answering]
        table["reward"][answered] = _rewards(decisions)[answering]
        table["active"][answered] = True
        self._awaited[answered] = False
        observation = _observations(decisions)
        table["observation"][rows] = observation
        going_on = ~(table["terminated"] | table["truncated"])[rows]
        table["final_observation"][rows[going_on]] = observation[going_on]
        table["deciding"][rows] = True
        self.deciding[team] = rows
        if self.shape.branches:
            table["open"][rows] = self._open(decisions)

    def _open(self, decisions: DecisionSteps) -> NDArray[np.bool_]:
        """Which choices are open; ML-Agents tells which are blocked."""
        masks: Any = decisions.action_mask
        if masks is None:
            return np.ones((len(decisions), sum(self.shape.branches)), bool)
        for branch, blocked in enumerate(masks):
            shut = blocked.all(axis=1)
            if shut.any():
                raise ValueError(
                    f"agent {decisions.agent_id[shut][0]} has no choice left in branch {branch}: the player blocks all "
                    f"{blocked.shape[1]}"
                )
        return ~np.concatenate(masks, axis=1)

    def _hear_ends(self, team: str, terminals: TerminalSteps) -> None:
        """Ends of episodes; those of agents that have not acted since say nothing."""
        found = np.array([self._row_of.get((team, agent), -1) for agent in terminals.agent_id.tolist()])
        acted = (found >= 0) & self._awaited[found]
        ends, rows = self._ends + np.flatnonzero(acted), found[acted]
        self._ends += len(terminals)
        table, cut_off = self.table, terminals.interrupted[acted]
        table["reported"][rows] = ends
        table["active"][rows] = True
        table["reward"][rows] = _rewards(terminals)[acted]
        table["truncated"][rows] = cut_off
        table["terminated"][rows] = ~cut_off
        final = _observations(terminals)[acted]
        table["final_observation"][rows] = final
        table["observation"][rows] = final
        self._awaited[rows] = False
        self._last_heard[found[found >= 0]] = _FREE

    def _known_rows(self, team: str, agent_ids: NDArray[np.int32]) -> NDArray[np.int64]:
        """The rows that these agents have, -1 for none; the usual case, the same agents as last time, is no lookup."""
        last = self._seated.get(team)
        if last is not None and np.array_equal(agent_ids, last[0]):
            rows = last[1]
        else:
            rows = np.array([self._row_of.get((team, agent), -1) for agent in agent_ids.tolist()], np.int64)
        self._last_heard[rows[rows >= 0]] = self._message
        return rows

    def _rows(self, team: str, agent_ids: NDArray[np.int32], known: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of these agents, with new ones for those that have none."""
        if (known < 0).any():
            pairs = zip(agent_ids.tolist(), known.tolist(), strict=True)
            known = np.array([row if row >= 0 else self._new_row(team, agent) for agent, row in pairs], np.int64)
        self._seated[team] = (agent_ids, known)
        return known

    def _new_row(self, team: str, agent: int) -> int:
        """A free row, or else that of the agent that has been silent the longest."""
        row = int(np.argmin(self._last_heard))
        if self._last_heard[row] == self._message or (team, agent) in self._pushed_out:
            raise ValueError(
                f"the player shows more than {len(self._last_heard)} agents at once; "
                f"set copies to as many as it can show"
            )
        if self._last_heard[row] != _FREE:
            self._push_out(row)
        for other in [other for other, taken in self._row_of.items() if taken == row]:
            del self._row_of[other]
        self._seated.clear()
        self._row_of[team, agent] = row
        self._last_heard[row] = self._message
        return row

    def _push_out(self, row: int) -> None:
        """Cut off an agent that went without a word; should it speak again, there are too few rows."""
        self._pushed_out.update(other for other, taken in self._row_of.items() if taken == row)
        self._awaited[row] = False
        self.table["truncated"][row] = True

    def _forget_step(self) -> None:
        for name in ("terminated", "truncated", "active"):
            self.table[name] = False
        self.table["reward"] = 0.0
        self.table["reported"] = -1
        self._ends = 0

    def _nobody_decides(self) -> None:
        self.table["deciding"] = False
        self.deciding = {}


_FREE = -1
"""In place of the message in which a row's agent was heard last: the row has none."""


def _observations(steps: DecisionSteps | TerminalSteps) -> NDArray[np.float32]:
    """All vector observations side by side, `[agents, size]`."""
    return steps.obs[0] if len(steps.obs) == 1 else np.concatenate(steps.obs, axis=1)


def _rewards(steps: DecisionSteps | TerminalSteps) -> NDArray[np.float32]:
    """Own and group reward together, as ML-Agents' extrinsic signal has it."""
    return steps.reward + steps.group_reward
