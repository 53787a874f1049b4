"""The runtime's cost is measured on a real process; a short form of benchmarks/runtime_cost.py."""

import os
import sys
import time

import pytest

from benchmarks.runtime_cost import Asked, Used, measured


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's use of a core is read from /proc")
def test_a_runtime_is_looked_at_while_it_drives() -> None:
    try:
        found = measured("mobile_goto", Asked(seconds=8.0, settle_s=4.0, engine="numpy"))
    except RuntimeError as error:
        if "too busy" not in str(error):
            raise
        pytest.skip(str(error))
    tick_ms, watchdog = found["tick_ms"], found["watchdog"]
    assert found["hz"] == 10.0 and found["ticks"] == pytest.approx(80, abs=40)
    assert 0 < tick_ms["p50"] <= tick_ms["p99"] <= tick_ms["max"]
    assert 0 < found["cpu_share"] < 1 and found["cpu_share_at_20_hz"] == pytest.approx(2 * found["cpu_share"], abs=2e-4)
    assert 10 < found["peak_memory_mb"] < 120 and 10 < watchdog["peak_memory_mb"] < 120


@pytest.mark.skipif(sys.platform != "linux", reason="a process's use of a core is read from /proc")
def test_time_on_a_core_is_told_as_the_kernel_counts_it() -> None:
    before, began_s = Used.by(os.getpid()), time.process_time()
    while time.process_time() - began_s < 0.2:
        pass
    after = Used.by(os.getpid())
    assert after.cpu_s - before.cpu_s == pytest.approx(0.2, abs=0.03)
    assert after.share_since(before) == pytest.approx((after.cpu_s - before.cpu_s) / (after.at_s - before.at_s))
    with pytest.raises(RuntimeError, match="is gone"):
        Used.by(2**22 + 1)
