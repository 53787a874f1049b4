"""The udp link takes what the robot with the key sent, once, and nothing else; its page tells every byte."""

import ast
import hashlib
import hmac
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from companion.deploy import links
from companion.deploy.link import TURTLEBOT3, UR5E, Interface, LinkLost, Quantity
from companion.deploy.links import _datagram, udp
from companion.deploy.links._robot_end import Taken

ROOT = Path(__file__).parents[2]
KEY = bytes(range(32))
SCAN = np.linspace(0.12, 3.5, 360)


class Clock:
    """Time goes on when told to."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Pair:
    """A robot and a runtime on one machine; datagrams on it arrive at once."""

    robot: udp.UdpRobot
    link: udp.UdpLink
    clock: Clock

    def meet(self) -> None:
        self.link.read()
        self.robot.commands()
        self.link.read()
        assert self.robot.commands() == []

    def taken(self, data: bytes) -> list[Taken]:
        """What the robot makes of bytes from the runtime's own address."""
        self.link._socket.send(data)
        return self.robot.commands()


def key_file(folder: Path, key: bytes = KEY) -> str:
    file = folder / f"{key[:4].hex()}.key"
    file.write_text(key.hex() + "\n")
    return str(file)


def make_pair(folder: Path, interface: Interface = TURTLEBOT3) -> Pair:
    clock = Clock()
    robot = udp.UdpRobot(interface, KEY, ("127.0.0.1", 0), clock)
    settings = udp.Settings("127.0.0.1", key_file(folder), robot.port)
    return Pair(robot, udp.UdpLink(interface, settings, clock), clock)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = make_pair(tmp_path)
    made.meet()
    yield made
    made.link.close()
    made.robot.close()


def command_bytes(pair: Pair, *values: float) -> bytes:
    """What the link would send next."""
    assert pair.link._session is not None
    payload = np.array(values, "<f4").tobytes()
    return pair.link._session.seal(_datagram.COMMAND, pair.clock.now_s, payload, pair.link._command_row)


def test_commands_and_measurements_get_across(pair: Pair) -> None:
    sent = pair.link.send(np.array((0.1, -1.5)))
    assert sent.tolist() == [np.float32(0.1), -1.5], "as sent: rounded to float32"
    assert [command.values.tolist() for command in pair.robot.commands()] == [sent.tolist()]
    pair.robot.publish({"scan": SCAN, "velocity": np.array((0.2, np.nan))}, stamp_s=12.345678)
    pair.clock.now_s += 0.02
    measured = pair.link.read()
    np.testing.assert_array_equal(measured["scan"].values, SCAN.astype(np.float32))
    np.testing.assert_array_equal(measured["velocity"].values, (np.float32(0.2), np.nan))
    assert measured["scan"].stamp_s == 12.345678 and measured["scan"].arrived_s == 100.02
    assert not pair.link.refused and not pair.robot.refused


def test_an_arm_needs_no_other_format(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, UR5E)
    pair.meet()
    joints = np.arange(6) / 8
    pair.link.send(joints)
    assert pair.robot.commands()[0].values.tolist() == joints.tolist()
    pair.robot.publish({"joint_position": joints, "joint_velocity": -joints}, 1.0)
    assert pair.link.read()["joint_velocity"].values.tolist() == (-joints).tolist()


def test_no_changed_bit_gets_through(pair: Pair) -> None:
    good = command_bytes(pair, 0.22, 0.0)
    for bit in range(8 * len(good)):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        assert pair.taken(bytes(changed)) == []
    assert sum(pair.robot.refused.values()) == 8 * len(good)
    assert len(pair.taken(good)) == 1, "none of it has used up the true one's number"


def test_nothing_is_taken_twice(pair: Pair) -> None:
    good = command_bytes(pair, 0.22, 0.0)
    assert len(pair.taken(good)) == 1
    assert pair.taken(good) == [] and pair.robot.refused["replayed"] == 1


def test_what_was_recorded_is_worth_nothing_after_a_restart(pair: Pair) -> None:
    recorded = command_bytes(pair, 0.22, 0.0)
    pair.robot.restart()
    assert pair.taken(recorded) == [] and pair.robot.refused["session"] == 1
    pair.clock.now_s += 0.3  # the runtime hears nothing and asks anew
    pair.meet()
    assert pair.taken(recorded) == []
    pair.link.send(np.array((0.1, 0.0)))
    assert len(pair.robot.commands()) == 1


def test_a_recorded_hello_takes_the_robot_from_nobody(pair: Pair) -> None:
    """The robot answers it with a nonce of its own, which whoever recorded it has no key for."""
    hello = _datagram.Datagram(_datagram.HELLO, payload=bytes(17)).sealed(KEY)
    for _ in range(10):
        assert pair.taken(hello) == []
    pair.link.send(np.array((0.1, 0.0)))
    assert len(pair.robot.commands()) == 1
    pair.link.read()
    assert pair.link.refused["nonce"] == 10, "nor does an answer to another hello confuse the runtime"


def test_what_the_robot_said_can_not_be_told_to_it(pair: Pair) -> None:
    assert pair.link._session is not None
    measurement = pair.link._session.seal(_datagram.MEASUREMENT, 0.0, np.zeros(2, "<f4").tobytes(), 4)
    assert pair.taken(measurement) == [] and pair.robot.refused["kind"] == 1


@pytest.mark.parametrize(
    ("values", "row", "first", "reason"),
    [
        ((0.1,), 7, 0, "part"),
        ((0.1, 0.0, 0.0), 7, 0, "part"),
        ((np.nan, 0.0), 7, 0, "not_finite"),
        ((0.1, np.inf), 7, 0, "not_finite"),
        ((0.1, 0.0), 2, 0, "quantity"),
        ((0.1, 0.0), 7, 2, "quantity"),
    ],
)
def test_a_command_with_the_right_key_must_make_sense(
    pair: Pair, values: tuple[float, ...], row: int, first: int, reason: str
) -> None:
    assert pair.link._session is not None and row in (2, pair.link._command_row)
    data = pair.link._session.seal(_datagram.COMMAND, 0.0, np.array(values, "<f4").tobytes(), row, first)
    assert pair.taken(data) == [] and dict(pair.robot.refused) == {reason: 1}


def test_an_overtaken_command_is_late(pair: Pair) -> None:
    first, second = command_bytes(pair, 0.2, 0.0), command_bytes(pair, 0.0, 0.0)
    assert len(pair.taken(second)) == 1
    assert pair.taken(first) == [] and pair.robot.refused["late"] == 1


def test_a_stop_holds_against_every_command(pair: Pair) -> None:
    pair.link.stop()
    assert [command.is_stop for command in pair.robot.commands()] == [True]
    pair.clock.now_s += 0.49
    assert pair.taken(command_bytes(pair, 0.2, 0.0)) == [] and pair.robot.refused["held"] == 1
    pair.clock.now_s += 0.02
    assert len(pair.taken(command_bytes(pair, 0.2, 0.0))) == 1


def test_a_watchdog_gets_through_beside_the_runtime(pair: Pair, tmp_path: Path) -> None:
    settings = udp.Settings("127.0.0.1", key_file(tmp_path), pair.robot.port)
    watchdog = udp.UdpLink(TURTLEBOT3, settings, pair.clock, "watchdog")
    for _ in range(2):
        watchdog.read()
        pair.robot.commands()
    pair.link.send(np.array((0.2, 0.0)))
    watchdog.stop()
    assert [command.is_stop for command in pair.robot.commands()] == [False, True]
    pair.robot.publish({"velocity": np.zeros(2)}, 1.0)
    assert "velocity" in pair.link.read() and "velocity" in watchdog.read()
    watchdog.close()


def test_a_torn_measurement_is_none(pair: Pair) -> None:
    """A scan takes two datagrams; where one is lost there is no scan, and nothing of it mixes with the next."""
    assert pair.robot._clients
    session = pair.robot._clients["runtime"].session
    parts = [
        [
            session.seal(_datagram.MEASUREMENT, stamp, payload, 0, first)
            for first, payload in _datagram.parts_of(SCAN * stamp)
        ]
        for stamp in (1.0, 2.0, 3.0)
    ]
    address = pair.link._socket.getsockname()
    for data in (parts[0][0], parts[1][1], parts[2][1]):
        pair.robot._socket.sendto(data, address)
    assert "scan" not in pair.link.read()
    for data in (parts[0][1], parts[1][0]):
        pair.robot._socket.sendto(data, address)
    assert "scan" not in pair.link.read() and pair.link.refused["late"] == 2
    pair.robot._socket.sendto(parts[2][0], address)
    np.testing.assert_array_equal(pair.link.read()["scan"].values, (SCAN * 3.0).astype(np.float32))


def test_the_window_lets_each_number_through_once() -> None:
    """Against the plain definition, over numbers in disorder."""
    random = np.random.default_rng(0)
    numbers = np.maximum(0, np.arange(5000) // 2 + random.integers(-100, 10, 5000))
    window, taken = _datagram.ReplayWindow(), set[int]()
    for number in map(int, numbers):
        expected = number >= 1 and number not in taken and number > max(taken, default=0) - _datagram.WINDOW
        try:
            window.take(number)
        except _datagram.RefusedError:
            assert not expected, number
        else:
            assert expected, number
            taken.add(number)
    assert len(taken) > 1500


def test_noise_and_mutations_are_refused_and_harm_nothing(pair: Pair) -> None:
    random = np.random.default_rng(1)
    good = [command_bytes(pair, 0.22, 0.0), _datagram.Datagram(_datagram.HELLO, payload=bytes(17)).sealed(KEY)]
    for _ in range(3000):
        if random.random() < 0.3:
            data = random.bytes(int(random.integers(0, 1200)))
        else:
            changed = bytearray(good[int(random.integers(2))])
            for _ in range(int(random.integers(1, 6))):
                changed[int(random.integers(len(changed)))] ^= int(random.integers(1, 256))
            data = bytes(
                changed[: int(random.integers(1, len(changed) + 1))] + random.bytes(int(random.integers(0, 3)))
            )
        assert data in good or pair.taken(data) == []
    assert set(pair.robot.refused) <= set(_datagram.REASONS) and sum(pair.robot.refused.values()) > 2900
    assert len(pair.taken(good[0])) == 1


def test_a_table_may_be_torn_anywhere(pair: Pair) -> None:
    whole = _datagram.table_bytes(_datagram.table_of(TURTLEBOT3))
    assert _datagram.table_from_bytes(whole) == _datagram.table_of(TURTLEBOT3)
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="torn"):
            _datagram.table_from_bytes(whole[:end])
    with pytest.raises(ValueError, match="behind it"):
        _datagram.table_from_bytes(whole + b"\0")


def test_a_robot_that_measures_something_else_is_refused(tmp_path: Path) -> None:
    short = replace(TURTLEBOT3, measured=(Quantity("scan", 180, "m"), *TURTLEBOT3.measured[1:]))
    robot = udp.UdpRobot(short, KEY, ("127.0.0.1", 0))
    link = udp.UdpLink(TURTLEBOT3, udp.Settings("127.0.0.1", key_file(tmp_path), robot.port))
    link.read()
    robot.commands()
    with pytest.raises(
        ValueError, match=r"measures no scan\[360\] in m; its table has scan\[180\] in m, pose_room\[3\]"
    ):
        link.read()


def test_a_robot_without_the_optional_sensors_will_do(tmp_path: Path) -> None:
    robot = udp.UdpRobot(replace(TURTLEBOT3, optional=()), KEY, ("127.0.0.1", 0))
    link = udp.UdpLink(TURTLEBOT3, udp.Settings("127.0.0.1", key_file(tmp_path), robot.port))
    for _ in range(2):
        link.read()
        robot.commands()
    link.send(np.array((0.1, 0.0)))
    assert len(robot.commands()) == 1


def test_nobody_there_or_another_key_is_told_in_time(tmp_path: Path) -> None:
    robot = udp.UdpRobot(TURTLEBOT3, KEY, ("127.0.0.1", 0))
    given = {"host": "127.0.0.1", "port": str(robot.port), "connect_timeout_s": "0.1"}
    with pytest.raises(LinkLost, match=r"no robot answered at 127.0.0.1:\d+ within 0.1 s"):
        links.open_link("udp", TURTLEBOT3, {**given, "key_file": key_file(tmp_path)})
    robot.commands()
    link = udp.UdpLink(TURTLEBOT3, udp.Settings("127.0.0.1", key_file(tmp_path, bytes(32)), robot.port))
    link.read()
    assert robot.commands() == [] and robot.refused["tag"] == 1, "the robot does not answer who has another key"


def test_a_robot_that_falls_silent_is_lost_and_may_come_back(pair: Pair) -> None:
    pair.clock.now_s += 3.1
    with pytest.raises(LinkLost, match=r"nothing came from 127.0.0.1:\d+ for 3.1 s"):
        pair.link.read()
    pair.robot.commands()
    assert pair.link.read() == {}, "it answered the new hello"


def test_settings_are_checked_in_one_line(tmp_path: Path) -> None:
    key = key_file(tmp_path)
    for given, words in (
        ({"hst": "x"}, "the link 'udp' has no setting 'hst'; choose from host, key_file, port"),
        ({"host": "127.0.0.1"}, "the link 'udp' needs key_file="),
        ({"host": "127.0.0.1", "key_file": key, "port": "many"}, "port=many must be a whole number"),
        ({"host": "127.0.0.1", "key_file": key, "port": "70000"}, "port=70000 must be between 1 and 65535"),
        ({"host": "127.0.0.1", "key_file": key_file(tmp_path, b"short")}, "has 5 bytes; it needs at least 16"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            links.open_link("udp", TURTLEBOT3, given)
    with pytest.raises(ValueError, match="no link 'udq'; choose from"):
        links.open_link("udq", TURTLEBOT3, {})
    (tmp_path / "words.key").write_text("open sesame")
    with pytest.raises(ValueError, match="hexadecimal"):
        udp.read_key(tmp_path / "words.key")


def test_the_page_s_bytes_are_the_link_s_and_can_be_worked_out_by_hand() -> None:
    """The example of docs/udp.md, with hmac and struct only, beside the page and beside the link."""
    page = (ROOT / "docs" / "udp.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```hex\n(.*?)```", page, re.DOTALL)
    told = [bytes.fromhex("".join(line.split("#")[0] for line in block.splitlines())) for block in blocks]
    key, client, robot = bytes(range(32)), bytes(range(0xA0, 0xB0)), bytes(range(0xC0, 0xD0))

    def tagged(secret: bytes, data: bytes) -> bytes:
        return data + hmac.new(secret, data, hashlib.sha256).digest()[:16]

    hello = tagged(key, b"Cp\x01\x01" + bytes(16) + b"\x11\0\0\0" + bytes(8) + client + b"\0")
    session = hmac.new(key, b"companion udp session" + client + robot, hashlib.sha256).digest()
    payload = struct.pack("<2f", 0.1, -0.5)
    stamp = struct.pack("<q", 12_345_678)
    command = tagged(session, b"Cp\x01\x05\x07\0\0\0" + robot[:8] + b"\x02\0\0\0\x08\0\0\0" + stamp + payload)
    assert told == [hello, session, command]
    own = _datagram.Session(key, client, robot)
    own.seal(_datagram.HERE, 0.0)
    assert _datagram.Datagram(_datagram.HELLO, payload=client + b"\0").sealed(key) == hello
    assert own.seal(_datagram.COMMAND, 12.345678, payload, 7) == command


def test_the_page_tells_every_number_of_the_format() -> None:
    page = (ROOT / "docs" / "udp.md").read_text(encoding="utf-8")
    for name in ("HELLO", "WELCOME", "HERE", "MEASUREMENT", "COMMAND", "STOP"):
        assert f"| {getattr(_datagram, name)} | {name} |" in page, name
    for reason in _datagram.REASONS:
        assert f"`{reason}`" in page, reason
    for number in (_datagram.MOST_ENTRIES, _datagram.MOST_DATAGRAM_BYTES, _datagram.WINDOW, udp.PORT):
        assert str(number) in page, number


@pytest.mark.parametrize(
    "file",
    [
        "links/__init__.py",
        "links/_robot_end.py",
        "links/_datagram.py",
        "links/_udp_robot.py",
        "links/udp.py",
        "watchdog.py",
        "link.py",
    ],
)
def test_python_3_8_reads_it(file: str) -> None:
    text = (ROOT / "python/companion/deploy" / file).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


def test_a_robot_that_hears_no_command_may_stop_by_itself_once_and_again(tmp_path: Path) -> None:
    now = [0.0]
    robot = udp.UdpRobot(TURTLEBOT3, KEY, ("127.0.0.1", 0), lambda: now[0], silent_stop_s=0.32)
    (tmp_path / "key").write_text(KEY.hex())
    link = udp.UdpLink(TURTLEBOT3, udp.Settings("127.0.0.1", str(tmp_path / "key"), robot.port), lambda: now[0])

    def heard(until_s: float) -> list[tuple[float, bool]]:
        found = []
        while now[0] < until_s - 1e-9:
            now[0] = round(now[0] + 0.05, 2)
            link.read()
            found += [(now[0], taken.is_stop) for taken in robot.commands()]
        return found

    assert heard(1.0) == [], "before anybody commands there is nothing to stop"
    for _ in range(2):  # and it takes commands again
        link.send(np.array((0.2, 0.0)))
        (first, *others) = heard(now[0] + 1.0)
        assert not first[1] and [is_stop for _, is_stop in others] == [True]
        assert others[0][0] - first[0] == pytest.approx(0.35)
    link.close()
    robot.close()
