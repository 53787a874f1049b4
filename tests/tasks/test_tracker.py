"""The camera tracker: what is late, seldom, noisy or missing."""

import itertools

import numpy as np
import pytest

from companion.tasks._tracker import PERTURBATIONS, Tracks, begin, empty_tracks, see, tick

PERIOD_S = 0.05


def started(copies: int = 1, things: int = 1, **values: float) -> tuple[Tracks, np.random.Generator]:
    """Tracks of things that stand at the origin."""
    random = np.random.default_rng(3)
    tracks = empty_tracks(copies, things, 2, PERIOD_S)
    perturbation = {entry.name: np.full(copies, values.get(entry.name, entry.nominal)) for entry in PERTURBATIONS}
    begin(tracks, slice(None), np.zeros((copies, things, 2)), perturbation, random)
    return tracks, random


def moved(tracks: Tracks, random: np.random.Generator, decisions: int, speed: float) -> list[tuple[float, float]]:
    """What is seen along x at each decision, and its age, while all things go along x at this speed."""
    seen = []
    for decision in range(1, decisions + 1):
        tick(tracks, PERIOD_S)
        place = np.zeros(tracks.position.shape)
        place[..., 0] = speed * decision * PERIOD_S
        see(tracks, slice(None), place, random)
        seen.append((tracks.position[0, 0, 0], tracks.age_s[0, 0]))
    return seen


def test_what_is_seen_is_where_it_was_so_long_ago() -> None:
    tracks, random = started(tracker_rate_hz=12, tracker_latency_s=0.08)
    seen = moved(tracks, random, 60, speed=0.6)
    for decision, (place, age) in enumerate(seen[10:], start=11):
        assert place == pytest.approx(0.6 * (decision * PERIOD_S - age)), "a finding is as old as its age says"
        assert 0.08 - 1e-9 <= age < 0.08 + 1 / 12 + 1e-9
    new = sum(after[0] != before[0] for before, after in itertools.pairwise(seen[10:]))
    assert new == pytest.approx(49 * PERIOD_S * 12, abs=1.01), "12 frames per second"


def test_a_steady_speed_is_found() -> None:
    tracks, random = started(tracker_rate_hz=20)
    moved(tracks, random, 60, speed=0.6)
    np.testing.assert_allclose(tracks.velocity[0, 0], (0.6, 0.0), atol=0.01)


def test_noise_is_as_large_as_asked_and_new_in_each_frame() -> None:
    tracks, random = started(copies=400, tracker_noise_m=0.02, tracker_rate_hz=20)
    moved(tracks, random, 5, speed=0.0)
    before = tracks.position.copy()
    assert before.std() == pytest.approx(0.02, rel=0.1)
    moved(tracks, random, 1, speed=0.0)
    assert abs(np.corrcoef(before.ravel(), tracks.position.ravel())[0, 1]) < 0.15


def test_an_offset_stays_for_the_episode() -> None:
    tracks, random = started(tracker_offset_m=0.1)
    moved(tracks, random, 20, speed=0.0)
    assert np.linalg.norm(tracks.position[0, 0]) == pytest.approx(0.1)
    np.testing.assert_allclose(tracks.velocity, 0.0, atol=1e-9)


def test_missing_findings_make_what_is_held_older() -> None:
    tracks, random = started(
        copies=500, things=2, tracker_rate_hz=20, tracker_latency_s=0.05, tracker_dropout_share=0.5
    )
    moved(tracks, random, 40, speed=0.6)
    # One frame per decision: k in a row are missing with chance 0.5^k, 0.05 s each; 1 is to be expected.
    missing = np.floor((tracks.age_s - 0.05) / PERIOD_S)
    assert missing.mean() == pytest.approx(1.0, abs=0.15)
    assert (tracks.age_s[:, 0] != tracks.age_s[:, 1]).any(), "one thing can be missing without the other"


def test_a_blind_tracker_tells_nothing_new() -> None:
    tracks, random = started(tracker_dropout_share=1.0)
    seen = moved(tracks, random, 30, speed=0.6)
    assert {place for place, _ in seen} == {0.0}
    assert seen[-1][1] > 30 * PERIOD_S


def test_copies_that_just_began_are_left_alone() -> None:
    tracks, random = started(copies=3, tracker_rate_hz=60)
    tick(tracks, PERIOD_S)
    tracks.elapsed_s[1] = 0.0
    before = tracks.age_s[1].copy()
    see(tracks, slice(None), np.ones((3, 1, 2)), random)
    assert tracks.position[1, 0, 0] == 0.0 and tracks.age_s[1] == before
    assert tracks.elapsed_s.tolist() == [0.0, 0.0, 0.0]
    assert (tracks.history[[0, 2], 0] == 1).all() and (tracks.history[1] == 0).all()
