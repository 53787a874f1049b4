import numpy as np
import pytest

from tests.trainers.tiny_worlds import TinyEpisodes
from trainers.common.episodes import EpisodeStatistics


def _episodes(*rewards: float) -> TinyEpisodes:
    reward = np.array(rewards, np.float32)
    return TinyEpisodes(
        length=np.full(len(rewards), 10),
        total_reward=reward,
        success=reward > 2,
        terms={"reach": 0.5 * reward},
        raw_terms={"reach": reward},
        metrics={"time_to_goal": np.where(reward > 2, reward, np.nan)},
    )


def test_every_episode_counts_once_however_the_steps_fell() -> None:
    statistics = EpisodeStatistics()
    for episodes in (_episodes(1.0), _episodes(), _episodes(2.0, 3.0, 6.0)):
        statistics.add(episodes)
    assert statistics.means() == pytest.approx(
        {
            "Environment/Cumulative Reward": 3.0,
            "Environment/Episode Length": 10.0,
            "Environment/Success": 0.5,
            "Environment/Episodes": 4.0,
            "Reward/reach": 1.5,
            "RewardRaw/reach": 3.0,
            "Metrics/time_to_goal": 4.5,
        }
    )
    assert statistics.means() == {}
    assert statistics.recent_success == 0.5


def test_it_goes_on_from_its_state() -> None:
    first, second = EpisodeStatistics(), EpisodeStatistics()
    first.add(_episodes(1.0, 5.0))
    second.set_state(first.get_state())
    for statistics in (first, second):
        statistics.add(_episodes(6.0))
    assert second.recent_return == first.recent_return
    assert second.means() == first.means()
