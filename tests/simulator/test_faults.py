"""Faults on purpose do what they say: how much is lost and how late it is, and which readings are spoilt when."""

import numpy as np
import pytest

from companion.simulator.faults import Channel, FaultyWire, Plan, Way, parse_fault
from companion.simulator.robot import Reading


def test_messages_come_later_and_may_overtake_each_other() -> None:
    way: Way[int] = Way(Channel(delay_s=0.1))
    for number in range(3):
        way.put(number, 0.01 * number)
    assert way.arrived(0.099) == [] and way.arrived(0.11) == [0, 1] and way.arrived(9.0) == [2]
    jittery: Way[int] = Way(Channel(delay_s=0.1, jitter_s=0.05), seed=1)
    arrivals: dict[int, float] = {}
    for tick in range(3000):
        if tick < 2000:
            jittery.put(tick, tick * 0.01)
        arrivals.update(dict.fromkeys(jittery.arrived(tick * 0.01), tick * 0.01))
    late = np.array([arrivals[number] - number * 0.01 for number in range(2000)])
    assert late.mean() == pytest.approx(0.105, abs=0.005), "half a tick is rounding"
    assert late.std() == pytest.approx(0.05, abs=0.005) and late.min() >= 0
    assert list(arrivals) != sorted(arrivals)


@pytest.mark.parametrize(("loss", "burst", "run"), [(0.2, 1.0, 1.25), (0.2, 5.0, 5.0), (0.01, 2.0, 2.0), (0.0, 3.0, 0)])
def test_as_many_are_lost_as_asked_for_and_in_such_rows(loss: float, burst: float, run: float) -> None:
    way: Way[int] = Way(Channel(loss=loss, burst=burst), seed=2)
    for number in range(40_000):
        way.put(number, 0.0)
    came = np.zeros(40_000, np.bool_)
    came[way.arrived(0.0)] = True
    assert 1 - came.mean() == pytest.approx(loss, rel=0.15)
    rows = np.count_nonzero(np.diff(came.astype(int)) == -1) + (not came[0])
    assert (~came).sum() / max(rows, 1) == pytest.approx(run, rel=0.15)


def scan(stamp_s: float, sensor: str = "scanner") -> Reading:
    return Reading(sensor, {"scan": np.ones(3)}, stamp_s)


def sent(*faults: str, at_s: float, sensor: str = "scanner", wire: FaultyWire[int] | None = None) -> list[Reading]:
    wire = wire or FaultyWire(Plan(faults=tuple(map(parse_fault, faults))))
    return wire.outgoing([scan(at_s, sensor)], at_s)


def test_faults_hit_their_sensor_in_their_time() -> None:
    (spoilt,) = sent("nan:scanner@5..7", at_s=5.0)
    assert np.isnan(spoilt.values["scan"]).all() and spoilt.stamp_s == 5.0
    for at_s, sensor in ((4.99, "scanner"), (7.0, "scanner"), (6.0, "odometry")):
        assert np.isfinite(sent("nan:scanner@5..7", at_s=at_s, sensor=sensor)[0].values["scan"]).all()
    assert sent("drop:scanner@5..7", at_s=6.0) == [] and len(sent("drop:scanner@5..7", at_s=7.0)) == 1
    assert sent("drop@5", at_s=1e6, sensor="anything") == []
    assert sent("clock=-1.5@5..7", at_s=6.0)[0].stamp_s == 4.5
    assert sent("hang@5..7", at_s=6.0) == [] and sent("kill@5", at_s=1e6) == []
    assert sent("restart=2@5", at_s=6.9) == [] and len(sent("restart=2@5", at_s=7.0)) == 1


def test_a_frozen_stamp_is_that_of_the_first_reading() -> None:
    wire: FaultyWire[int] = FaultyWire(Plan(faults=(parse_fault("frozen_stamp:scanner@5..7"),)))
    stamps = [sent(at_s=at_s, wire=wire)[0].stamp_s for at_s in (4.8, 5.0, 5.2, 6.8, 7.0)]
    assert stamps == [4.8, 5.0, 5.0, 5.0, 7.0]


def test_a_deaf_robot_hears_nothing_while_it_speaks() -> None:
    wire: FaultyWire[str] = FaultyWire(Plan(faults=(parse_fault("deaf@5..7"),)))
    assert wire.incoming(["go"], 4.9) == ["go"] and wire.incoming(["stop"], 6.0) == []
    assert len(wire.outgoing([scan(6.0)], 6.0)) == 1 and wire.incoming(["stop"], 7.0) == ["stop"]


def test_what_is_under_way_waits_at_a_hung_robot_s_door_and_is_lost_to_one_that_restarts() -> None:
    for fault, after in (("hang@5..7", ["go"]), ("restart=2@5", [])):
        wire: FaultyWire[str] = FaultyWire(Plan(Channel(delay_s=0.5), (parse_fault(fault),)))
        assert wire.incoming(["go"], 4.9) == [] and wire.incoming([], 6.0) == []
        assert wire.incoming([], 7.0) == after
        assert wire.restarts(5.5) == (after == []) and not wire.restarts(5.6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nanny@5", "no fault 'nanny@5'; choose from drop, nan"),
        ("nan", "must read KIND"),
        ("nan@x", "must read KIND"),
        ("nan@5...7", "must read KIND"),
        ("clock@5", "needs a value in seconds, as clock=1@5"),
        ("clock=1-1@5", "must read KIND"),
    ],
)
def test_a_wrong_fault_is_told_in_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_fault(text)


def test_a_channel_s_numbers_are_checked() -> None:
    for wrong in ({"delay_s": -1.0}, {"jitter_s": float("nan")}, {"loss": 1.0}, {"burst": 0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Channel(**wrong)
