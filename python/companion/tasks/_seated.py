"""A person who sits across the table: a figure of capsules, and a hand that is held out, moved about and withdrawn.

The person faces the robot, along -x of base_link, and reaches out with one hand, palm up. The figure's proportions are
those of Drillis and Contini (1966, in Winter, "Biomechanics and Motor Control of Human Movement", 2009, figure 4.1),
the stature between the means of older women and men. The hand moves by minimum jerk (Flash and Hogan 1985), from
wherever it is and however fast it moves.

How adversarial a person is, is one number from 0 to 1; `Temper` says what each behaviour does at both ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from companion.tasks._scene import Floats, Physics, Which, rows_of, write_rows

STATURE_M = 1.62
TRUNK_M = (0.818 - 0.530) * STATURE_M
"""From the hips to the height of the shoulders."""
HEAD_M = (0.936 - 0.530) * STATURE_M
"""From the hips to the eyes, about which the head is drawn."""
SHOULDER_ASIDE_M = 0.129 * STATURE_M - 0.03
"""From the middle to the joint, which lies 3 cm inside the breadth of the shoulders."""
UPPER_ARM_M = 0.186 * STATURE_M
FOREARM_M = 0.146 * STATURE_M
PALM_M = 0.054 * STATURE_M
"""From the wrist to the middle of the palm, half a hand."""
REACH_M = 0.95 * (UPPER_ARM_M + FOREARM_M + PALM_M)
"""People seldom hold an arm out straight."""
HEAD_RADIUS_M, TORSO_RADIUS_M, UPPER_ARM_RADIUS_M, FOREARM_RADIUS_M, PALM_RADIUS_M = 0.11, 0.13, 0.045, 0.036, 0.018
TORSO_HALF_M = TRUNK_M / 2 - 0.06
"""Half the length of the torso's capsule without its round ends."""
HIP_HEIGHT_M = -0.21
"""Above the table: a seat of 0.43 m and 0.08 m up to the hip joints, under a table of 0.72 m."""
SEAT_SPREAD_M = (0.04, 0.12, 0.03)
PEAK_OF_MEAN = 1.875
"""Of a minimum-jerk movement's speed: its peak over its mean."""
SHORTEST_MOVE_S = 0.3
"""Older women raise a hand from thigh to shoulder in 0.335 s when asked to hurry (DeGoede et al. 2001, J Gerontol A
56:M584); nothing here is as quick."""
REACTION_S = (0.3, 0.7)
"""From seeing something happen to moving. Simple reactions slow from 50 years on, from about 0.3 s (Der and Deary 2006,
Psychol Aging 21:62); a choice among several takes longer."""
NOTICE_M, FORGET_M = 0.2, 0.3
"""A person notices the object when it is this near to the hand; further than the second, it is gone again."""
TREMOR_HZ = (4.0, 12.0)
"""Essential tremor is of 4 to 8 Hz when advanced, physiological tremor of 8 to 12 Hz (Elble 1986, Neurology 36:225); at
68 years the mean of patients is 5.8 Hz (Elble 2000, Neurology 55:1547)."""
TREMOR_REFERENCE_HZ = 4.0
"""Of a tremor's amplitude; it falls with the square of the frequency, as the acceleration of a given force does."""
CARE_M = 0.13
"""People do not put their forearm nearer than this to what they see of the robot's tool."""
HEAD_CARE_M = 0.3
"""And do not lean so far that their face comes nearer to it."""
LEAN_RADPS = 0.35
"""How fast a trunk is leant forward, at most."""
LEAN_S = (1.0, 3.0)
WITHDRAWN_S = (0.6, 1.6)
STILL_S = (1.5, 3.0)
"""How long a hand is held still for somebody who brings something."""


@dataclass(frozen=True)
class Temper:
    """What a person does, at difficulty 0 and at difficulty 1; in between by straight lines."""

    pause_s: tuple[float, float] = (4.0, 0.8)
    """Mean time for which the hand is held where it is."""
    move_m: tuple[float, float] = (0.03, 0.22)
    """How far it is then moved."""
    hand_speed_mps: tuple[float, float] = (0.2, 0.6)
    """Its peak speed, well below what the hurried movement above needs (0.5 m in 0.335 s)."""
    withdraw_share: tuple[float, float] = (0.0, 0.3)
    """Of these moves, how many take the hand back to the chest; after a while it is held out again."""
    shy_share: tuple[float, float] = (0.0, 0.4)
    """How often the hand is drawn back when the object comes near."""
    still_share: tuple[float, float] = (1.0, 0.2)
    """How often, when it is not, the hand is held still for it."""
    lean_per_s: tuple[float, float] = (0.02, 0.25)
    """How often the person leans forward."""
    lean_rad: tuple[float, float] = (0.1, 0.35)
    """How far."""
    tremor_m: tuple[float, float] = (0.0003, 0.008)
    """Amplitude at 4 Hz: from that of healthy people, 0.035 g at 6 Hz (Arch Neurol 1982;39:358), to an essential tremor
    of 1.6 cm from end to end, as moderate ones are (rating 2 of 4: Elble et al. 2006, Brain 129:2660)."""


@dataclass(frozen=True)
class Offer:
    """Where the palm is held out, in base_link, m."""

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]


@dataclass
class Seated:
    """The people of some copies; arrays `[copies, …]` in base_link, m, s and rad."""

    hip: Floats
    """Between the hips `[copies, 3]`."""
    side: Floats
    """Which hand is held out: +1 the one towards +y, which is the right one, or -1."""
    difficulty: Floats
    lean: Floats
    lean_goal: Floats
    lean_wait_s: Floats
    """Until the person leans forward, or back again."""
    path: Floats
    """The hand's movement, coefficients of a polynomial of time `[copies, 6, 3]`."""
    path_s: Floats
    """Since it began."""
    path_duration_s: Floats
    hand: Floats
    """The palm, its tremor left out `[copies, 3]`."""
    hand_velocity: Floats
    goal: Floats
    """Where the movement leads `[copies, 3]`."""
    withdrawn: Floats
    """1 while the hand is at the chest."""
    wait_s: Floats
    """Until the hand is moved again."""
    noticed: Floats
    """1 once the person has noticed the object."""
    react_s: Floats
    """Until they react to it; infinite where there is nothing to react to."""
    tremor_m: Floats
    """Amplitude along `tremor_axis`."""
    tremor_hz: Floats
    tremor_phase: Floats
    tremor_axis: Floats
    """Of length 1 `[copies, 3]`."""
    clock_s: Floats

    def trembling_hand(self, which: Which) -> Floats:
        """Where the palm truly is `[k, 3]`."""
        return self.hand[which] + self._tremor(which, self.clock_s[which][:, None])[:, 0]

    def tremor_before(self, period_s: float, steps: int) -> Floats:
        """The tremor's displacement at each of the steps that lead up to now `[copies, steps, 3]`."""
        back = period_s * (np.arange(1, steps + 1) / steps - 1)
        return self._tremor(slice(None), self.clock_s[:, None] + back)

    def _tremor(self, which: Which, time_s: Floats) -> Floats:
        turns = 2 * np.pi * self.tremor_hz[which, None] * time_s + self.tremor_phase[which, None]
        return (self.tremor_m[which, None] * np.sin(turns))[..., None] * self.tremor_axis[which, None]


@dataclass
class Posture:
    """Where a figure's joints are `[k, 3]`, m in base_link."""

    hip: Floats
    head: Floats
    shoulder: Floats
    elbow: Floats
    wrist: Floats
    palm: Floats

    @property
    def torso_ends(self) -> tuple[Floats, Floats]:
        """Of the torso's capsule, without its round ends."""
        along = (self.head - self.hip) / HEAD_M
        middle = self.hip + TRUNK_M / 2 * along
        return middle - TORSO_HALF_M * along, middle + TORSO_HALF_M * along


def posture(hip: Floats, lean: Floats, side: Floats, palm: Floats) -> Posture:
    """The figure that sits at `hip`, leans forward by `lean` and has its palm at `palm`; the elbow hangs outwards."""
    zero = np.zeros(len(lean))
    up = np.stack((-np.sin(lean), zero, np.cos(lean)), axis=1)
    shoulder = hip + TRUNK_M * up + np.stack((zero, side * SHOULDER_ASIDE_M, zero), axis=1)
    way = palm - shoulder
    lower = FOREARM_M + PALM_M
    distance = np.clip(np.linalg.norm(way, axis=1), abs(UPPER_ARM_M - lower) + 0.01, UPPER_ARM_M + lower - 1e-3)
    along = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    share = (UPPER_ARM_M**2 - lower**2 + distance**2) / (2 * distance)
    outwards = np.stack((0.3 + zero, 0.7 * side, zero - 1.0), axis=1)
    outwards -= (outwards * along).sum(axis=1, keepdims=True) * along
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    bent = np.sqrt(np.maximum(UPPER_ARM_M**2 - share**2, 0.0))
    elbow = shoulder + share[:, None] * along + bent[:, None] * outwards
    fore = palm - elbow
    wrist = elbow + FOREARM_M * fore / np.maximum(np.linalg.norm(fore, axis=1, keepdims=True), 1e-6)
    return Posture(hip, hip + HEAD_M * up, shoulder, elbow, wrist, palm)


def distance_to_segment(point: Floats, start: Floats, end: Floats) -> Floats:
    """From points to the segments between `start` and `end`, of any matching shapes `[…, 3]`, m."""
    way = end - start
    share = ((point - start) * way).sum(axis=-1) / np.maximum((way**2).sum(axis=-1), 1e-12)
    return np.linalg.norm(point - start - np.clip(share, 0.0, 1.0)[..., None] * way, axis=-1)


def head_and_body_clearance(figure: Posture, points: Floats) -> Floats:
    """From each of the points `[k, n, 3]` to the nearest of head, torso and upper arm `[k, n]`, m; 0 inside."""
    low, high = figure.torso_ends
    head = np.linalg.norm(points - figure.head[:, None], axis=2) - HEAD_RADIUS_M
    torso = distance_to_segment(points, low[:, None], high[:, None]) - TORSO_RADIUS_M
    arm = distance_to_segment(points, figure.shoulder[:, None], figure.elbow[:, None]) - UPPER_ARM_RADIUS_M
    return np.maximum(np.minimum(np.minimum(head, torso), arm), 0.0)


def forearm_clearance(figure: Posture, points: Floats) -> Floats:
    """From each of the points `[k, n, 3]` to the forearm that holds the hand out `[k, n]`, m; 0 inside."""
    axis = distance_to_segment(points, figure.elbow[:, None], figure.wrist[:, None])
    return np.maximum(axis - FOREARM_RADIUS_M, 0.0)


# --- what the person does ---


def empty_seated(copies: int) -> Seated:
    """Space for so many people."""
    three, one = (copies, 3), (copies,)
    return Seated(
        hip=np.zeros(three),
        side=np.ones(one),
        difficulty=np.zeros(one),
        lean=np.zeros(one),
        lean_goal=np.zeros(one),
        lean_wait_s=np.zeros(one),
        path=np.zeros((copies, 6, 3)),
        path_s=np.zeros(one),
        path_duration_s=np.ones(one),
        hand=np.zeros(three),
        hand_velocity=np.zeros(three),
        goal=np.zeros(three),
        withdrawn=np.zeros(one),
        wait_s=np.zeros(one),
        noticed=np.zeros(one),
        react_s=np.full(one, np.inf),
        tremor_m=np.zeros(one),
        tremor_hz=np.zeros(one),
        tremor_phase=np.zeros(one),
        tremor_axis=np.zeros(three),
        clock_s=np.zeros(one),
    )


def sit_down(
    seat_x_m: float, difficulty: Floats, offer: Offer, robot: Floats, random: np.random.Generator
) -> tuple[Seated, Floats]:
    """People who sit about `seat_x_m` from the robot and hold a hand out, clear of the robot's points `[k, n, 3]`.

    The second is where the palms are `[k, 3]`, tremor included.
    """
    count = len(difficulty)
    people = empty_seated(count)
    people.difficulty[:] = difficulty
    people.hip[:] = (seat_x_m, 0.0, HIP_HEIGHT_M) + np.array(SEAT_SPREAD_M) * random.uniform(-1, 1, (count, 3))
    people.side[:] = np.where(random.random(count) < 0.5, 1.0, -1.0)
    people.hand[:] = _first_palm(people, offer, robot, random)
    people.goal[:] = people.hand
    people.path[:, 0] = people.hand
    people.wait_s[:] = _pause_s(people, random)
    people.lean_wait_s[:] = random.exponential(1.0, count) / _at(TEMPER.lean_per_s, difficulty)
    _give_tremor(people, random)
    return people, people.trembling_hand(slice(None))


def _first_palm(people: Seated, offer: Offer, robot: Floats, random: np.random.Generator) -> Floats:
    palm = np.zeros((len(people.side), 3))
    missing = np.arange(len(palm))
    for _ in range(30):
        rows = rows_of(people, missing)
        palm[missing] = _within_reach(rows, random.uniform(offer.low_m, offer.high_m, (len(missing), 3)))
        near = ~_is_clear(rows, palm[missing], robot[missing], NOTICE_M)
        missing = missing[near]
        if not len(missing):
            break
    return palm


def _give_tremor(people: Seated, random: np.random.Generator) -> None:
    count = len(people.side)
    people.tremor_hz[:] = random.uniform(*TREMOR_HZ, count)
    people.tremor_m[:] = _at(TEMPER.tremor_m, people.difficulty) * (TREMOR_REFERENCE_HZ / people.tremor_hz) ** 2
    people.tremor_phase[:] = random.uniform(-np.pi, np.pi, count)
    axis = random.standard_normal((count, 3))
    people.tremor_axis[:] = axis / np.linalg.norm(axis, axis=1, keepdims=True)


def live_on(people: Seated, offer: Offer, robot: Floats, period_s: float, random: np.random.Generator) -> None:
    """Let everybody do what they do for one decision, in place.

    `robot` are points of it that people see `[copies, n, 3]`, m in base_link, the object that it brings first.
    """
    people.clock_s += period_s
    for timer in (people.wait_s, people.lean_wait_s, people.react_s):
        timer -= period_s
    _move_hand(people, period_s)
    chance = random.random((len(people.side), 8))
    _notice(people, robot[:, 0], chance)
    _decide(people, offer, robot, chance, random)
    _lean(people, robot, period_s, chance)


def _move_hand(people: Seated, period_s: float) -> None:
    """Along its polynomial, to whose end it then holds still."""
    people.path_s[:] = np.minimum(people.path_s + period_s, people.path_duration_s)
    powers = people.path_s[:, None] ** np.arange(6)
    slopes = np.arange(1, 6) * powers[:, :5]
    arrived = people.path_s >= people.path_duration_s
    people.hand[:] = np.einsum("kp,kpx->kx", powers, people.path)
    velocity = np.einsum("kp,kpx->kx", slopes, people.path[:, 1:])
    people.hand_velocity[:] = np.where(arrived[:, None], 0.0, velocity)


def _notice(people: Seated, thing: Floats, chance: Floats) -> None:
    """Begin to react to an object that comes near to the hand, once until it has gone away again."""
    distance = np.linalg.norm(thing - people.hand, axis=1)
    new = (distance < NOTICE_M) & (people.noticed == 0) & (people.withdrawn == 0)
    people.noticed[:] = np.where(new, 1.0, np.where(distance > FORGET_M, 0.0, people.noticed))
    people.react_s[:] = np.where(new, _between(REACTION_S, chance[:, 0]), people.react_s)


def _decide(people: Seated, offer: Offer, robot: Floats, chance: Floats, random: np.random.Generator) -> None:
    """Withdraw the hand, hold it still, hold it out again or move it about, whoever's time has come."""
    difficulty, reacts = people.difficulty, people.react_s <= 0
    shy = reacts & (chance[:, 1] < _at(TEMPER.shy_share, difficulty)) & (people.withdrawn == 0)
    still = reacts & ~shy & (chance[:, 2] < _at(TEMPER.still_share, difficulty))
    people.react_s[reacts] = np.inf
    people.wait_s[:] = np.where(still, np.maximum(people.wait_s, _between(STILL_S, chance[:, 3])), people.wait_s)
    due = (people.wait_s <= 0) & ~shy
    withdraws = due & (people.withdrawn == 0) & (chance[:, 4] < _at(TEMPER.withdraw_share, difficulty))
    _withdraw(people, np.flatnonzero(shy | withdraws), chance[:, 5])
    _offer(people, np.flatnonzero(due & ~withdraws), offer, robot, random)


def _withdraw(people: Seated, which: np.ndarray, chance: Floats) -> None:
    """Take hands back to the chest."""
    rows = rows_of(people, which)
    chest = rows.hip + np.array((-0.22, 0.0, 0.36))
    chest[:, 1] += 0.12 * rows.side
    _set_out(people, which, chest)
    people.withdrawn[which] = 1.0
    people.wait_s[which] = people.path_duration_s[which] + _between(WITHDRAWN_S, chance[which])


def _offer(people: Seated, which: np.ndarray, offer: Offer, robot: Floats, random: np.random.Generator) -> None:
    """Move hands about where they are held out; who would come too near to the robot waits."""
    rows = rows_of(people, which)
    way = random.standard_normal((len(which), 3))
    way *= (_at(TEMPER.move_m, rows.difficulty) / np.linalg.norm(way, axis=1))[:, None]
    anywhere = random.uniform(offer.low_m, offer.high_m, (len(which), 3))
    near = np.clip(rows.goal + way, offer.low_m, offer.high_m)
    goal = _within_reach(rows, np.where(rows.withdrawn[:, None] > 0, anywhere, near))
    clear = _is_clear(rows, goal, robot[which], CARE_M)
    goes, waits = which[clear], which[~clear]
    _set_out(people, goes, goal[clear])
    people.withdrawn[goes] = 0.0
    people.wait_s[goes] = people.path_duration_s[goes] + _pause_s(rows_of(people, goes), random)
    people.wait_s[waits] = 0.3


def _set_out(people: Seated, which: np.ndarray, goal: Floats) -> None:
    """Begin a minimum-jerk movement to `goal` from the present place, speed and acceleration."""
    rows = rows_of(people, which)
    distance = np.linalg.norm(goal - rows.hand, axis=1)
    speed = _at(TEMPER.hand_speed_mps, rows.difficulty)
    duration = np.maximum(PEAK_OF_MEAN * distance / speed, SHORTEST_MOVE_S)
    time = rows.path_s[:, None]
    bend = rows.path * (np.arange(6) * (np.arange(6) - 1) * time ** np.maximum(np.arange(6) - 2, 0))[..., None]
    under_way = (rows.path_s < rows.path_duration_s)[:, None]
    acceleration = np.where(under_way, bend.sum(axis=1), 0.0)
    rows.path = minimum_jerk(rows.hand, rows.hand_velocity, acceleration, goal, duration)
    rows.path_s, rows.path_duration_s, rows.goal = np.zeros(len(which)), duration, goal
    write_rows(people, which, rows)


def minimum_jerk(start: Floats, velocity: Floats, acceleration: Floats, goal: Floats, duration: Floats) -> Floats:
    """Coefficients `[k, 6, 3]` of the fifth-order polynomial of time that is at rest at `goal` after `duration`."""
    t = duration[:, None]
    left = goal - start - velocity * t - acceleration * t**2 / 2
    speed_left, bend_left = -velocity - acceleration * t, -acceleration
    third = (10 * left - 4 * speed_left * t + bend_left * t**2 / 2) / t**3
    fourth = (-15 * left + 7 * speed_left * t - bend_left * t**2) / t**4
    fifth = (6 * left - 3 * speed_left * t + bend_left * t**2 / 2) / t**5
    return np.stack((start, velocity, acceleration / 2, third, fourth, fifth), axis=1)


def _lean(people: Seated, robot: Floats, period_s: float, chance: Floats) -> None:
    """Lean forward now and then, and back; back at once where the tool is near the face."""
    up, due = people.lean_goal == 0, people.lean_wait_s <= 0
    often = _at(TEMPER.lean_per_s, people.difficulty)
    pause = -np.log(np.maximum(chance[:, 6], 1e-9)) / often
    people.lean_wait_s[:] = np.where(due, np.where(up, _between(LEAN_S, chance[:, 6]), pause), people.lean_wait_s)
    far = _at(TEMPER.lean_rad, people.difficulty) * (0.5 + 0.5 * chance[:, 7])
    people.lean_goal[:] = np.where(due, np.where(up, far, 0.0), people.lean_goal)
    head = people.hip + HEAD_M * np.stack((-np.sin(people.lean), 0 * people.lean, np.cos(people.lean)), axis=1)
    gap = np.linalg.norm(robot - head[:, None], axis=2).min(axis=1) - HEAD_RADIUS_M
    people.lean_goal[gap < HEAD_CARE_M] = 0.0
    people.lean += np.clip(people.lean_goal - people.lean, -LEAN_RADPS * period_s, LEAN_RADPS * period_s)


def _within_reach(people: Seated, palm: Floats) -> Floats:
    """The same points, drawn in to what the arm reaches when the person sits upright."""
    shoulder = people.hip + np.array((0.0, 0.0, TRUNK_M))
    shoulder[:, 1] += SHOULDER_ASIDE_M * people.side
    way = palm - shoulder
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    return shoulder + way * np.minimum(1.0, REACH_M / np.maximum(distance, 1e-6))


def _is_clear(people: Seated, palm: Floats, robot: Floats, gap_m: float) -> np.ndarray:
    """Whether the forearm would keep so far from the robot's points, with the palm there `[k]`."""
    figure = posture(people.hip, people.lean, people.side, palm)
    distance = distance_to_segment(robot, figure.elbow[:, None], palm[:, None])
    return distance.min(axis=1) > gap_m


def _pause_s(people: Seated, random: np.random.Generator) -> Floats:
    return _at(TEMPER.pause_s, people.difficulty) * random.uniform(0.6, 1.4, len(people.side))


def _at(ends: tuple[float, float], difficulty: Floats) -> Floats:
    return ends[0] + (ends[1] - ends[0]) * difficulty


def _between(ends: tuple[float, float], chance: Floats) -> Floats:
    return ends[0] + (ends[1] - ends[0]) * chance


TEMPER = Temper()


# --- the figure in MuJoCo ---


BODIES = ("person_legs", "person_torso", "person_rest_arm", "person_head", "person_upper_arm", "person_forearm", "hand")
"""Its mocap bodies; the rest arm and the legs are only to be seen."""
NOT_THE_HAND = ("person_torso", "person_head", "person_upper_arm", "person_forearm")
"""The bodies that must not be touched."""


def figure_xml() -> str:
    """The figure as mocap bodies, clothes and all.

    To the arm a person is as solid as the table is: contype 1, which the links of a UR5e see (`ur5e.body_xml`), and
    conaffinity 0, so that nothing else touches a person.
    """
    skin, shirt, trousers, wood = "0.90 0.74 0.62 1", "0.42 0.52 0.66 1", "0.25 0.27 0.33 1", "0.5 0.38 0.26 1"
    solid = 'contype="1" conaffinity="0" mass="0" solref="0.04 1"'
    hull = f'{solid} group="3"'
    seen = 'class="visual"'
    half_upper, half_fore, half_palm = UPPER_ARM_M / 2, FOREARM_M / 2, 0.05
    legs = "".join(
        f'<geom {seen} type="capsule" fromto="0 {y} 0 -0.38 {y} 0.01" size="0.07" rgba="{trousers}"/>'
        f'<geom {seen} type="capsule" fromto="-0.38 {y} 0.01 -0.36 {y} -0.43" size="0.05" rgba="{trousers}"/>'
        for y in (-0.1, 0.1)
    )
    return f"""
    <body name="person_legs" mocap="true">{legs}
      <geom {seen} type="box" size="0.22 0.22 0.02" pos="-0.02 0 -0.1" rgba="{wood}"/>
      <geom {seen} type="box" size="0.02 0.2 0.24" pos="0.22 0 0.2" rgba="{wood}"/>
      <geom {seen} type="box" size="0.2 0.2 0.2" pos="0 0 -0.31" rgba="{wood}"/>
    </body>
    <body name="person_torso" mocap="true">
      <geom {hull} type="capsule" fromto="0 0 {-TORSO_HALF_M} 0 0 {TORSO_HALF_M}" size="{TORSO_RADIUS_M}"/>
      <geom {seen} type="ellipsoid" size="0.12 0.19 {TRUNK_M / 2 + 0.06}" rgba="{shirt}"/>
      <geom {solid} type="capsule" fromto="0 {-SHOULDER_ASIDE_M} {TRUNK_M / 2} 0 {SHOULDER_ASIDE_M} {TRUNK_M / 2}"
        size="0.055" rgba="{shirt}"/>
      <geom {seen} type="capsule" fromto="0 0 {TRUNK_M / 2} 0 0 {TRUNK_M / 2 + 0.1}" size="0.05" rgba="{skin}"/>
    </body>
    <body name="person_rest_arm" mocap="true">
      <geom {seen} type="capsule" fromto="0 0 0 0.03 0 {-UPPER_ARM_M}" size="0.045" rgba="{shirt}"/>
      <geom {seen} type="capsule" fromto="0.03 0 {-UPPER_ARM_M} -0.2 0 {-UPPER_ARM_M - 0.04}" size="0.038"
        rgba="{skin}"/>
    </body>
    <body name="person_head" mocap="true">
      <geom {hull} type="sphere" size="{HEAD_RADIUS_M}"/>
      <geom {seen} type="ellipsoid" size="0.095 0.078 0.115" rgba="{skin}"/>
      <geom {seen} type="ellipsoid" size="0.088 0.085 0.09" pos="0.022 0 0.04" rgba="0.86 0.86 0.86 1"/>
      <geom {seen} type="sphere" size="0.018" pos="-0.095 0 -0.01" rgba="{skin}"/>
    </body>
    <body name="person_upper_arm" mocap="true">
      <geom {solid} type="capsule" fromto="0 0 {-half_upper} 0 0 {half_upper}" size="{UPPER_ARM_RADIUS_M}"
        rgba="{shirt}"/>
    </body>
    <body name="person_forearm" mocap="true">
      <geom {solid} type="capsule" fromto="0 0 {-half_fore} 0 0 {half_fore}" size="{FOREARM_RADIUS_M}"
        rgba="{skin}"/>
    </body>
    <body name="hand" mocap="true">
      <geom {hull} type="capsule" fromto="{-half_palm} 0 0 {half_palm} 0 0" size="{PALM_RADIUS_M}"/>
      <geom {seen} type="ellipsoid" size="0.055 0.042 0.016" pos="-0.005 0 0" rgba="{skin}"/>
      <geom {seen} type="capsule" fromto="0.03 0.02 0 0.085 0.025 0.008" size="0.011" rgba="{skin}"/>
      <geom {seen} type="capsule" fromto="0.03 0 0 0.09 0 0.008" size="0.011" rgba="{skin}"/>
      <geom {seen} type="capsule" fromto="0.03 -0.02 0 0.082 -0.025 0.008" size="0.011" rgba="{skin}"/>
    </body>"""


def pose(physics: Physics, mocap: Mapping[str, int], which: Which, side: Floats, ends: tuple[Posture, Posture]) -> None:
    """Put the figures from the first posture to the second one in the course of the coming decision."""
    before, now = ends
    steps = physics.mocap_position.shape[1]
    share = (np.arange(1, steps + 1) / steps)[:, None]
    old, new = _places(before, side), _places(now, side)
    turns = _turns(now)
    for name in BODIES:
        row = mocap[name]
        way = new[name] - old[name]
        physics.mocap_position[which, :, row] = old[name][:, None] + way[:, None] * share
        physics.mocap_quaternion[which, :, row] = turns[name][:, None]


def _places(figure: Posture, side: Floats) -> dict[str, Floats]:
    up = (figure.head - figure.hip) / HEAD_M
    other = figure.shoulder.copy()
    other[:, 1] -= 2 * SHOULDER_ASIDE_M * side
    return {
        "person_legs": figure.hip,
        "person_torso": figure.hip + TRUNK_M / 2 * up,
        "person_rest_arm": other,
        "person_head": figure.head,
        "person_upper_arm": (figure.shoulder + figure.elbow) / 2,
        "person_forearm": (figure.elbow + figure.wrist) / 2,
        "hand": figure.palm,
    }


def _turns(figure: Posture) -> dict[str, Floats]:
    """Orientations, w first; a hand lies flat and points where the forearm does."""
    trunk = _z_along(figure.head - figure.hip)
    fore = figure.palm - figure.elbow
    half_yaw = np.arctan2(fore[:, 1], fore[:, 0]) / 2
    level = np.stack((np.cos(half_yaw), 0 * half_yaw, 0 * half_yaw, np.sin(half_yaw)), axis=1)
    upright = np.tile((1.0, 0.0, 0.0, 0.0), (len(fore), 1))
    return {
        "person_legs": upright,
        "person_torso": trunk,
        "person_rest_arm": trunk,
        "person_head": trunk,
        "person_upper_arm": _z_along(figure.elbow - figure.shoulder),
        "person_forearm": _z_along(fore),
        "hand": level,
    }


def _z_along(direction: Floats) -> Floats:
    """The quaternions that turn z into these directions or their opposites `[k, 4]`, whichever is less of a turn."""
    unit = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    unit = np.where(unit[:, 2:] < 0, -unit, unit)
    quaternion = np.stack((1 + unit[:, 2], -unit[:, 1], unit[:, 0], 0 * unit[:, 0]), axis=1)
    return quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
