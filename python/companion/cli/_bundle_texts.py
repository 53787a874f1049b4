"""What stands in an edge bundle beside the policy and the runtime: how it is started, installed and kept running."""

from dataclasses import dataclass
from string import Template

from companion.deploy.clock import FIFO_PRIORITY
from companion.policy_card import PolicyCard

_RUN = '''"""Runs the policy that lies beside this file on a robot: python3 run.py --help"""

import os
import sys

if sys.version_info < (3, 8):
    sys.exit("run.py: Python %d.%d is too old; README.md says how to get 3.8 or newer" % sys.version_info[:2])
# A policy is so small that more threads only wait for each other.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
folder = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, folder)
try:
    from pathlib import Path

    from companion.deploy.__main__ import main
except ImportError as error:
    sys.exit("run.py: %s; README.md says what to install" % error)

sys.exit(main(model=Path(folder, "$model"), program="run.py"))
'''

_REQUIREMENTS = """numpy>=1.21
onnxruntime>=1.10
"""

_UNIT = """# $task on a $robot. README.md says how to install it.
[Unit]
Description=Companion: the policy of $task on a $robot
Wants=network-online.target
After=network-online.target

[Service]
User=companion
EnvironmentFile=/etc/companion/$task.env
WorkingDirectory=/var/lib/companion
StateDirectory=companion
ExecStart=/opt/companion/$task/venv/bin/python /opt/companion/$task/run.py --enable link $$COMPANION_FLAGS
# After a restart the robot stands until the enabling switch is released and held again.
Restart=on-failure
RestartSec=5
TimeoutStopSec=5
# Only the runtime itself is told to end. When it dies, its watchdog must live on to stop the robot; then it ends too.
KillMode=process
# For --realtime.
LimitRTPRIO=$priority
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=yes

[Install]
WantedBy=multi-user.target
"""

_README = """# $task on a $robot

The policy `$model`, and all that runs it on a robot: no torch, no simulator. It decides every $period_ms ms.
**This software lowers risks; it does not make a robot safe.** A robot near people needs an emergency stop and an
enabling switch in hardware, and a risk assessment.

## Start

Copy this folder to the robot's computer. Python 3.8 or newer, numpy 1.21 or newer and onnxruntime 1.10 or newer are
needed, and nothing else:

```
python3 -m venv venv
venv/bin/python -m pip install --upgrade pip
venv/bin/python -m pip install -r requirements.txt
venv/bin/python run.py --check
```

`--check` tells whether all files came whole, that the policy gives what it gave when it was trained, and how long a
decision takes. $numpy

Then, with wheels or arm off the ground, in its shadow (nothing is sent), and at last in earnest:

```
venv/bin/python run.py $link --shadow --seconds 20
venv/bin/python run.py $link
```

`run.py --help` tells the other flags; they are those of `companion deploy`. `--link ros2` needs cyclonedds (Python 3.10
or newer; there is no build for aarch64). `--link rclpy` needs ROS 2: `source /opt/ros/*/setup.bash` first, and a venv
made with `--system-site-packages`.

## Which Python, which onnxruntime

| machine | system | Python | before all else |
|---|---|---|---|
| Jetson Nano, TX2: JetPack 4.6 | Ubuntu 18.04 | 3.8; 3.6 is too old | `sudo apt-get install python3.8 python3.8-venv` |
| Jetson Xavier: JetPack 5 | Ubuntu 20.04 | 3.8 | `sudo apt-get install python3-venv` |
| Jetson Orin: JetPack 6 | Ubuntu 22.04 | 3.10 | `sudo apt-get install python3-venv` |
| any other Linux | | 3.8 or newer | |

With JetPack 4.6 the first line above is `python3.8 -m venv venv`. Pip finds the newest onnxruntime that fits: for
aarch64 that is 1.19.2 on Python 3.8 and 1.23.2 on Python 3.10. The pip that Ubuntu 18.04 and 20.04 come with is too old
to see it, hence the second line. It is onnxruntime for the processor: a policy as small as this takes less time there
than the way to the GPU and back.

Where Python ends with `Illegal instruction` as it imports numpy, as some versions do on a Nano, a TX2 or a Xavier
(numpy's issue 18131): `export OPENBLAS_CORETYPE=ARMV8`.

## As a service

```
sudo useradd --system companion
sudo mkdir -p /opt/companion/$task /etc/companion
sudo cp -r . /opt/companion/$task        # then make venv there, as above
echo 'COMPANION_FLAGS=$service_link' | sudo tee /etc/companion/$task.env
sudo cp companion-$task.service /etc/systemd/system/
sudo systemctl daemon-reload
sudo systemctl enable --now companion-$task
journalctl -u companion-$task -f
```

Who enables the robot is its own switch (`--enable link`). Every start writes a new black box of 30 minutes into
/var/lib/companion. A full disk stops the robot, so take them away from time to time.

## TensorRT

Nothing here needs it. Should you want the network in a program of your own (the file has opset $opset; TensorRT 8.2 of
JetPack 4.6 reads opset 13):

```
/usr/src/tensorrt/bin/trtexec --onnx=$model --saveEngine=$task.plan \\
  $shapes
```

That is the network only: observation, limits and golden vectors are this runtime's.
"""

_LINKS = {
    "turtlebot3": "--link udp --link-set host=192.168.1.7 --link-set key_file=robot.key",
    "ur5e": "--link rclpy",
}
"""An example for the robot; udp is for microcontrollers."""


@dataclass(frozen=True)
class Facts:
    """What the texts say of the file."""

    model: str
    """Its name."""
    opset: int
    without_onnxruntime: str
    """Why numpy alone can't run it; "" where it can."""


def all_of(card: PolicyCard, facts: Facts) -> dict[str, str]:
    """The texts for this policy, by their files' names."""
    link = _LINKS.get(card.robot, _LINKS["turtlebot3"])
    values = {
        "task": card.task,
        "robot": card.robot,
        "model": facts.model,
        "opset": str(facts.opset),
        "period_ms": f"{(card.control_period_s or 0.0) * 1e3:g}",
        "priority": str(FIFO_PRIORITY),
        "link": link,
        "service_link": link.replace("robot.key", "/etc/companion/robot.key"),
        "shapes": _shapes(card),
        "numpy": _numpy(facts.without_onnxruntime),
    }
    files = {
        "run.py": _RUN,
        "requirements.txt": _REQUIREMENTS,
        "README.md": _README,
        f"companion-{card.task}.service": _UNIT,
    }
    return {name: Template(text).substitute(values) for name, text in files.items()}


def _numpy(why_not: str) -> str:
    if why_not:
        return f"This policy needs onnxruntime: {why_not}."
    return "Where onnxruntime can't be had, numpy alone computes the same file: take its line out of requirements.txt."


def _shapes(card: PolicyCard) -> str:
    """One row of each input."""
    sizes = {"observation": card.layout.size}
    if card.memory:
        sizes |= {"h_in": card.memory, "c_in": card.memory}
    if card.is_masked:
        sizes["action_mask"] = card.mask_size
    shapes = ",".join(f"{name}:1x{size}" for name, size in sizes.items())
    return " ".join(f"--{kind}Shapes={shapes}" for kind in ("min", "opt", "max"))
