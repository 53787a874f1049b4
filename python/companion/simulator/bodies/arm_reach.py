"""A UR5e as its controller, a camera and a safety scanner show it: joints, the target in base_link, who is near."""

import numpy as np

from companion.robots import ur5e
from companion.simulator.robot import Moment, Sensor
from companion.tasks._arm_scene import MOMENT_S
from companion.tasks._scene import Floats, Names
from companion.tasks.arm_reach import ArmScene

JOINT_PERIOD_S = 0.01
"""The controller measures at 500 Hz; half of the physics' own rate is near enough to that."""
CAMERA_PERIOD_S = 0.05
SCANNER_PERIOD_S = 0.04
NOBODY_M = 5.5
"""What a safety scanner about the table says where nobody is, as in this task: the protective field of larger ones."""
_LIMIT_RAD = np.array(ur5e.ROBOT.joint_limit_rad)


class Body:
    """The robot of a scene of one copy."""

    sensors = (Sensor("joints", JOINT_PERIOD_S), Sensor("camera", CAMERA_PERIOD_S), Sensor("scanner", SCANNER_PERIOD_S))
    rest_command: Floats | None = None
    # A wrist's servo turns 0.1 kg m² with up to 28 N m: 1.4 rad/s in the 5 ms of training's steps. Told to stay where
    # it is while it turns faster than 0.28 rad/s (28 N m over 100 N m s), its force is cut, and from there on it would
    # swing between +0.7 and -0.7 rad/s from step to step, for up to half a second; not so in steps of 2.5 ms or less.
    steps_within = 5

    def __init__(self, scene: ArmScene, names: Names) -> None:
        self._scene = scene

    def measure(self, sensor: str, moment: Moment, random: np.random.Generator) -> dict[str, Floats]:
        """What a sensor gives now."""
        state = self._scene.state
        if sensor == "scanner":
            return {"person_distance": np.array((NOBODY_M,))}
        if sensor == "camera":
            noise = state.target_noise_m[0] * random.standard_normal(3)
            return {"target_position_base": state.target_base_m[0] + state.target_error_m[0] + noise}
        noise = state.encoder_noise_rad[0] * random.standard_normal((2, 6))
        # Speeds are as noisy as in training: ten times the positions' numbers.
        return {"joint_position": moment.position + noise[0], "joint_velocity": moment.velocity + 10 * noise[1]}

    def limited(self, command: Floats) -> Floats:
        """Joint positions within the joints' limits."""
        return np.clip(command, -_LIMIT_RAD, _LIMIT_RAD)

    def control(self, command: Floats) -> Floats:
        """The servos are told joint positions."""
        return command

    def standing(self, moment: Moment) -> Floats:
        """The joint positions that it has."""
        return self.limited(moment.position)

    def speed(self, moment: Moment) -> float:
        """Of the tool's tip, m/s."""
        now, soon = ur5e.tool_position_base(np.stack((moment.position, moment.position + MOMENT_S * moment.velocity)))
        return float(np.linalg.norm(soon - now)) / MOMENT_S
