"""Every file under `deploy/links/` is a link, or says in one line what it needs."""

import importlib
from dataclasses import fields, is_dataclass
from importlib.util import find_spec

import pytest

from companion.cli._errors import one_line
from companion.deploy import links
from companion.deploy.link import TURTLEBOT3
from companion.deploy.links import _robot_end

NEEDS = {
    "rclpy": ("rclpy", "needs ROS 2: source"),
    "ros2": ("cyclonedds", "pip install -c constraints.txt cyclonedds"),
}


@pytest.mark.parametrize("name", links.names())
def test_every_link_can_be_opened_from_settings_as_typed(name: str) -> None:
    if name in NEEDS and find_spec(NEEDS[name][0]) is None:
        with pytest.raises(ImportError) as missing:
            importlib.import_module(f"companion.deploy.links.{name}")
        assert NEEDS[name][1] in one_line(missing.value)
        return
    module = importlib.import_module(f"companion.deploy.links.{name}")
    for kind in (module.Settings, getattr(module, "RobotSettings", module.Settings)):
        assert is_dataclass(kind)
        assert {entry.type for entry in fields(kind)} <= {"str", "int", "float", "bool"}
    assert callable(module.connect)
    with pytest.raises(ValueError, match=f"the link '{name}' has no setting 'colour'; choose from"):
        links.open_link(name, TURTLEBOT3, {"colour": "red"})


def test_the_menu_holds_links_only() -> None:
    assert {"udp", "ros2", "rclpy", "recorded"} <= set(links.names())
    assert _robot_end.Taken.__doc__


def test_links_without_a_robot_s_end_say_so() -> None:
    with pytest.raises(ValueError, match="no robot can be simulated at the other end of the link 'recorded'"):
        links.listen("recorded", TURTLEBOT3, {})


def test_pairs_are_read_and_refused_in_one_line() -> None:
    assert links.pairs("--link-set", ["host=10.0.0.2", "key_file=a=b"]) == {"host": "10.0.0.2", "key_file": "a=b"}
    for words, told in (
        (["host"], "--link-set host: expected KEY=VALUE"),
        (["a=1", "a=2"], "--link-set a is given twice"),
    ):
        with pytest.raises(ValueError, match=told):
            links.pairs("--link-set", words)
