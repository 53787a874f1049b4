"""The player of arm_rally as an opponent: what it may do at each difficulty, and which balls are its points."""

import numpy as np
import pytest

from companion import tasks
from companion.simulator.batch import Simulator
from companion.tasks import _rally_player as player
from companion.tasks._other_side import Turn, against, everywhere
from companion.tasks._scene import Floats

TASK = tasks.load("arm_rally")
REACH_M = 0.653


def sight(difficulty: float, rows: int) -> Floats:
    return np.tile((0.0, 0.45, 0.1, 0.0, 0.0, difficulty), (rows, 1))


def asked(decision: Floats) -> Floats:
    """In metres, metres per second and seconds."""
    return player.LOW + (decision + 1) * (player.HIGH - player.LOW) / 2


@pytest.mark.parametrize(
    ("difficulty", "low", "high"),
    [
        (0.0, (-0.03, -0.08, 0.3, 0.5), (0.03, 0.08, 0.4375, 0.7)),  # 0.35 m/s less a quarter is below what hands roll
        (0.5, (-0.115, -0.44, 0.35625, 0.35), (0.115, 0.44, 0.59375, 0.85)),
        (1.0, (-0.2, -0.8, 0.45, 0.2), (0.2, 0.8, 0.75, 1.0)),
    ],
)
def test_a_learner_has_the_scope_of_the_difficulty(
    difficulty: float, low: tuple[float, ...], high: tuple[float, ...]
) -> None:
    least, most = (asked(player.limited(np.full((1, 4), end), sight(difficulty, 1)))[0] for end in (-3.0, 3.0))
    assert least == pytest.approx(low) and most == pytest.approx(high)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_the_scripted_player_fills_the_same_scope(difficulty: float) -> None:
    """But that its aims by way of a rail lie beyond, at difficulties at which a learner may not aim so far yet."""
    rolled = asked(player.scripted(sight(difficulty, 4000), np.random.default_rng(0)))
    low, high = player.scope(np.array([difficulty]))
    inside = (rolled >= low - 1e-9) & (rolled <= high + 1e-9)
    assert inside[:, (0, 2, 3)].all()
    assert inside[np.abs(rolled[:, 1]) < player.RAIL_Y_M, 1].all()
    for column in (0, 2, 3):
        assert rolled[:, column].min() - low[0, column] < 0.05 * (high - low)[0, column]
        assert high[0, column] - rolled[:, column].max() < 0.05 * (high - low)[0, column]


def test_a_point_is_a_ball_that_the_robot_could_have_returned_and_did_not() -> None:
    game = player.empty_game(5)
    game.phase[:] = (player.COMING, player.GOING, player.GOING, player.COMING, player.GOING)
    game.still_s[3] = 1.0
    ball = np.array([[0.2, 0.1], [1.12, 0.0], [1.12, 0.4], [0.8, 0.0], [1.12, 0.0]])
    speed = np.array([0.5, 0.5, 0.5, 0.0, 1.2])
    over = player.judge(game, ball, speed, np.zeros(5), 0.05)
    assert over.tolist() == [0, 1, 2, 3, 4]
    # Behind the robot; returned; returned out of reach; died before the robot could reach it; returned too fast.
    assert player.scores(game, over, ball, REACH_M).tolist() == [1, -1, 1, -1, 1]


def test_every_ball_is_scored_once_and_agrees_with_what_is_measured() -> None:
    turns: list[Turn] = []

    def seats(turn: Turn, random: np.random.Generator) -> Floats:
        turns.append(turn)
        return player.scripted(turn.sight, random)

    assert TASK.other_side is not None and TASK.baseline is not None
    simulator = Simulator(against(TASK, TASK.other_side, seats), 4, overrides={"difficulty": 1}, threads=2)
    controller, signals = TASK.baseline(), simulator.reset(3)
    returned = missed = 0
    for _ in range(160):
        frame = simulator.step(controller(signals))
        signals = frame.next_signals
        returned += int(frame.signals["returned"].sum())
        missed += int(frame.signals["missed"].sum())
    simulator.close()
    scores = np.concatenate([turn.score for turn in turns if not turn.begins])
    assert len(scores) == returned + missed and (scores == -1).sum() >= returned > 0
    assert all((turn.score == 0).all() for turn in turns if turn.begins)
    assert turns[0].begins and turns[0].copies.tolist() == [0, 1, 2, 3]
    assert all((turn.sight[:, 5] == 1).all() for turn in turns)
    assert all((turn.sight[:, 4] == 0).all() for turn in turns if turn.begins), "a new game has no returns yet"


def slow_and_late(sight: Floats, random: np.random.Generator) -> Floats:
    return np.tile((0.0, 0.0, -1.0, 1.0), (len(sight), 1))


def test_an_answer_takes_the_place_of_the_decision_before() -> None:
    """For who makes up their mind a decision of the robot later."""
    assert TASK.other_side is not None
    scene = TASK.other_side.make_scene(everywhere(slow_and_late))
    simulator = Simulator(against(TASK, TASK.other_side, lambda turn, random: np.zeros((0, 4))), 1)
    simulator._scene = scene
    simulator._allocate(1)
    simulator.reset(0)
    scene.answer(np.array([0]), np.array([[0.5, -0.5, 0.2, -1.0]]))
    rolls = [simulator.step(np.zeros((1, 3))).signals for _ in range(20)]
    simulator.close()
    free = next(signals for signals in rolls if signals["ball_speed"][0, 0] > 0.1)
    assert free["ball_true_position_base"][0] == pytest.approx((1.0, 0.08), abs=0.03)
    assert free["ball_speed"][0, 0] == pytest.approx(0.6, abs=0.02)
