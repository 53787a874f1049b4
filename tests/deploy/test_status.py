"""The status page: what it tells is what happened, it takes nothing, and the loop never waits for it."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from companion.deploy import profiles
from companion.deploy.actor import OnnxActor
from companion.deploy.clock import SimulatedClock
from companion.deploy.loop import Options, Runtime, parts_of
from companion.deploy.safety import Operator
from companion.deploy.status import About, Place, StatusError, StatusPage, about_command, place_of
from tests.deploy.machines import MODELS, Machine, arm, turtlebot

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FREE = Place("127.0.0.1", 0)


class Deployed:
    """A runtime with a status page, on a machine that stands where it is put."""

    def __init__(self, machine: Machine, task: str, place: Place = FREE) -> None:
        def advance(to_s: float) -> None:
            machine.now_s = to_s

        actor, looks = OnnxActor(MODELS / f"{task}.onnx"), iter(range(10**6))
        profile, self._clock = profiles.load(actor.card.robot), SimulatedClock(advance)
        parts = parts_of(actor, profile, machine, self._clock)
        self.period_s = actor.card.control_period_s or 0.1
        command, units, speed_unit = about_command(profile.interface)
        about = About(task, profile.name, "here", self.period_s, command, units, False, speed_unit)
        self.runtime = Runtime(parts, Options(operator=lambda: Operator(enabled=next(looks) > 0)))
        self.page = StatusPage(place, about, parts.safety.tally)

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.page(self.runtime.tick())
            self._clock.sleep_until(self._clock.now_s() + self.period_s)

    def status(self, until: Callable[[dict[str, Any]], bool] = lambda told: True) -> dict[str, Any]:
        """What the page shows, once it shows that."""
        end_s, told = time.monotonic() + 20, None
        while time.monotonic() < end_s:
            told = json.loads(fetch(f"{self.page.place.url}status.json"))
            if until(told):
                return told
            time.sleep(0.02)
        raise AssertionError(f"never shown: {told}")


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setattr("companion.deploy.status.LINE_EVERY_S", 0.0)
    deployed = Deployed(turtlebot(ahead_m=1.0), "mobile_goto")
    with closing(deployed.page):
        yield deployed


def test_it_tells_what_happened(base: Deployed) -> None:
    before = base.status()
    assert before["about"]["robot"] == "turtlebot3" and before["silent_s"] is None and "mode" not in before
    base.tick(30)
    told = base.status(lambda told: told.get("ticks") == 30)
    report = base.runtime.report()
    assert told["mode"] == "RUN" and told["reasons"] == [] and told["missed"] == 0
    # The wall is 1 m ahead of the middle, the hull 0.105 m; the goal 2 m ahead.
    assert told["distances_m"]["obstacle"] == pytest.approx(1.0 - 0.105, abs=0.02)
    assert told["distances_m"]["goal"] == pytest.approx(2.0)
    assert told["about"]["command"] == ["forward", "turning"] and len(told["asked"]) == len(told["sent"]) == 2
    assert told["interventions"] == {name: count for name, count in report.interventions.items() if count}
    assert 0 < told["work_ms"]["p50"] <= told["work_ms"]["p99"] <= report.tick_ms["max"] + 1e-3
    assert [change["mode"] for change in told["changes"]] == ["READY", "ARMED", "RUN"]
    assert len(told["history"]["now_s"]) == len(told["history"]["speed_sent"]) >= 12


def test_why_it_stopped_is_told(base: Deployed) -> None:
    base.tick(20)
    machine: Any = base.runtime._parts.link
    machine.silent.add("scan")
    base.tick(12)
    told = base.status(lambda told: told["ticks"] == 32)
    assert told["mode"] == "STOP" and told["reasons"] == ["scan: old"] and told["stops"] == {"scan: old": 1}
    assert told["asked"] is None and told["sent"] == [0.0, 0.0]
    assert told["changes"][-1]["reasons"] == ["scan: old"] and told["ages_s"]["scan"] > 0.5


def test_only_the_last_minute_is_kept(base: Deployed) -> None:
    base.tick(700)  # 70 s; lines may be left out, never wrong
    history = base.status(lambda told: told["ticks"] >= 650)["history"]
    assert history["now_s"][-1] - history["now_s"][0] <= 60.0 and len(history["now_s"]) <= 301
    assert all(len(values) == len(history["now_s"]) for values in history.values())


def test_of_an_arm_it_tells_joints_and_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("companion.deploy.status.LINE_EVERY_S", 0.0)
    machine = arm()
    machine.values["person_distance"] = np.array([1.25])
    deployed = Deployed(machine, "arm_reach")
    with closing(deployed.page):
        deployed.tick(30)
        told = deployed.status(lambda told: told.get("ticks") == 30)
    assert told["mode"] == "RUN" and told["distances_m"]["person"] == 1.25
    assert len(told["sent"]) == 6 and told["about"]["units"] == ["rad"] * 6
    moved = np.abs(np.diff(np.array(machine.commands)[-2:], axis=0)).max()
    assert told["speed_sent"] == pytest.approx(moved / 0.05, abs=1e-3)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_asked_of_the_robot(method: str, base: Deployed) -> None:
    connection = HTTPConnection(base.page.place.host, base.page.place.port, timeout=20)
    connection.request(method, "/status.json", body="{}")
    answer = connection.getresponse()
    assert answer.status == 405 and answer.getheader("Allow") == "GET, HEAD"
    connection.close()


def test_the_page_asks_no_other_server_and_foreign_names_lead_nowhere(base: Deployed) -> None:
    place = base.page.place
    page = fetch(place.url).decode()
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
    for path, host, status in (
        ("/", f"localhost:{place.port}", 200), ("/", f"[::1]:{place.port}", 200), ("/", "evil.example", 403),
        ("/", f"evil.example:{place.port}", 403), ("/etc/passwd", "127.0.0.1", 404), ("/../x", "127.0.0.1", 404),
    ):  # fmt: skip
        connection = HTTPConnection(place.host, place.port, timeout=20)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        assert answer.status == status, (path, host)
        assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
        assert answer.getheader("Access-Control-Allow-Origin") is None
        connection.close()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=lambda blow: blow.name)
def test_a_page_that_dies_or_hangs_keeps_no_robot_waiting(blow: signal.Signals, base: Deployed) -> None:
    base.tick(2)
    process = base.page._process
    process.send_signal(blow)
    if blow == signal.SIGKILL:
        process.wait()
    base.tick(400)  # more than the pipe of a process that sleeps takes
    assert base.runtime.report().ticks == 402 and base.runtime.report().mode_s["RUN"] > 30
    assert bool(base.page.trouble) == (blow == signal.SIGKILL)
    if blow == signal.SIGSTOP:  # what was left out is left out; lines are never torn
        process.send_signal(signal.SIGCONT)
        base.status(lambda told: told["ticks"] > 10)
        base.tick()
        assert base.status(lambda told: told["ticks"] == 403)["mode"] == "RUN"


def test_who_holds_a_connection_and_says_nothing_keeps_nobody_waiting(base: Deployed) -> None:
    place = base.page.place
    silent = [socket.create_connection((place.host, place.port)) for _ in range(20)]
    base.tick(3)
    assert base.status(lambda told: told.get("ticks") == 3)
    for one in silent:
        one.close()


def test_it_ends_with_the_runtime(base: Deployed) -> None:
    process, place = base.page._process, base.page.place
    base.page.close()
    assert process.poll() is not None
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((place.host, place.port))


def test_a_place_is_read_and_a_bad_or_taken_one_is_told_in_one_line() -> None:
    assert place_of("8080") == Place("127.0.0.1", 8080) and place_of("8080").is_loopback
    assert place_of("0.0.0.0:80") == Place("0.0.0.0", 80) and not place_of("0.0.0.0:80").is_loopback
    assert place_of("[::1]:80") == Place("::1", 80) and place_of("[::1]:80").url == "http://[::1]:80/"
    assert place_of("localhost:1").is_loopback and not place_of("robot.local:1").is_loopback
    for text in ("", "x", ":", ":80", "80:", "65536", "-1", "1.2.3.4"):
        with pytest.raises(StatusError, match=r"expected \[HOST:\]PORT"):
            place_of(text)
    other = socket.create_server(("127.0.0.1", 0))
    with other, pytest.raises(StatusError, match=r"--status: 127\.0\.0\.1:\d+: Address already in use"):
        Deployed(turtlebot(), "mobile_goto", Place("127.0.0.1", other.getsockname()[1]))
    with pytest.raises(StatusError, match=r"--status: 192\.0\.2\.1:8080: "):
        Deployed(turtlebot(), "mobile_goto", Place("192.0.2.1", 8080))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_in_a_browser_it_is_alive_and_fits_a_phone(base: Deployed, tmp_path: Path) -> None:
    pytest.importorskip("websockets")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        debug = probe.getsockname()[1]
    command = [
        CHROMIUM or "", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        f"--remote-debugging-port={debug}", "--window-size=1000,900", "about:blank",
    ]  # fmt: skip
    chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    over = threading.Event()

    def live() -> None:
        while not over.is_set():
            base.tick()
            time.sleep(0.02)

    living = threading.Thread(target=live)
    living.start()
    try:
        asyncio.run(_look(base, debug, Path(os.environ.get("COMPANION_PICTURES", tmp_path))))
    finally:
        over.set()
        living.join()
        chromium.terminate()
        chromium.wait(20)


async def _look(base: Deployed, debug: int, folder: Path) -> None:
    """In light and dark, on a desk and on a phone; COMPANION_PICTURES keeps the pictures."""
    from websockets.asyncio.client import connect

    from tests.cli.test_view import Browser, _door

    async with connect(await _door(debug), max_size=None) as connection:
        browser = Browser(connection)
        await browser.call("Page.enable")
        await browser.call("Page.navigate", url=base.page.place.url)
        await browser.until("document.getElementById('mode').textContent == 'RUN'")
        await browser.until("document.querySelector('#speed path.one').getAttribute('d').length > 200")
        papers = []
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            await browser.call("Emulation.setEmulatedMedia", features=features)
            for width in (1000, 400):
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
                await browser.call("Emulation.setDeviceMetricsOverride", **size)
                assert await browser.until("document.documentElement.scrollWidth") <= width
                (folder / f"status_{scheme}_{width}.png").write_bytes(await browser.picture())
            papers.append(await browser.js("getComputedStyle(document.body).backgroundColor"))
        assert papers[0] != papers[1]
        base.page.close()
        await browser.until("document.getElementById('silence').textContent.startsWith('No answer for')")
        assert await browser.js("document.getElementById('mode').textContent") == "RUN", "the last that was told"
