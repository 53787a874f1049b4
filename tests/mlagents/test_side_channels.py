import struct
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.side_channel import SideChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager

from companion.mlagents import side_channels
from companion.mlagents.side_channels import Aggregation, EngineConfiguration, WireError
from companion.mlagents.stock import EnvironmentParametersChannel, StatsSideChannel


def manager(channel: SideChannel) -> SideChannelManager:
    channels: Any = [channel]
    return SideChannelManager(channels)


def sent_by(channel: SideChannel) -> bytes:
    return bytes(manager(channel).generate_side_channel_messages())


def payloads(data: bytes) -> list[bytes]:
    return [payload for _, payload in side_channels.split(data)]


def test_parameters_of_the_stock_client_are_understood() -> None:
    channel = EnvironmentParametersChannel()
    channel.set_float_parameter("reward/reached/weight", 2.5)
    channel.set_uniform_sampler_parameters("payload_kg", 1.0, 2.0, 1337)
    channel.set_gaussian_sampler_parameters("friction", 3.0, 0.2, 1337)
    channel.set_multirangeuniform_sampler_parameters("ranges", [(1.2, 2.0), (3.2, 4.1)], 1337)
    draws = dict(side_channels.environment_parameter(payload) for payload in payloads(sent_by(channel)))
    assert list(draws) == ["reward/reached/weight", "payload_kg", "friction", "ranges"]
    first = [float(draw(1)[0]) for draw in draws.values()]
    np.testing.assert_allclose(first, [2.5, 1.208888, 2.936162, 3.387999], atol=1e-4)


def test_engine_settings_add_up() -> None:
    channel = EngineConfigurationChannel()
    channel.set_configuration_parameters(84, 85, 5, 20.0, -1, 60)
    known = EngineConfiguration()
    for payload in payloads(sent_by(channel)):
        known = side_channels.engine_configuration(payload, known)
    assert known == EngineConfiguration(84, 85, 5, 20.0, -1, 60)


def test_statistics_reach_the_stock_client_in_order() -> None:
    channel = StatsSideChannel()
    data = side_channels.statistics({"Reward/a": np.array([1.0, 2.0], np.float32), "none": np.zeros(0, np.float32)})
    data += side_channels.statistics({"n": np.array([3.0], np.float32)}, Aggregation.SUM)
    manager(channel).process_side_channel_message(data)
    found = {key: [(value, how.value) for value, how in pairs] for key, pairs in channel.stats.items()}
    assert found == {"Reward/a": [(1.0, 0), (2.0, 0)], "n": [(3.0, 2)]}
    assert len(data) == side_channels.statistics_size(["Reward/a", "Reward/a", "n"])


@pytest.mark.parametrize("missing", [1, 4, 15, 20, 30])
def test_bytes_that_end_too_early_are_told(missing: int) -> None:
    channel = EnvironmentParametersChannel()
    channel.set_float_parameter("abc", 1.0)
    data = sent_by(channel)[:-missing]
    with pytest.raises(WireError, match="bytes"):
        list(side_channels.split(data))


def test_a_negative_length_is_told() -> None:
    with pytest.raises(WireError, match="announces -1 bytes"):
        list(side_channels.split(UUID(int=1).bytes_le + struct.pack("<i", -1)))


def test_mutilated_parameters_never_end_in_anything_but_a_clear_word() -> None:
    channel = EnvironmentParametersChannel()
    channel.set_uniform_sampler_parameters("payload_kg", 1.0, 2.0, 1337)
    channel.set_multirangeuniform_sampler_parameters("ranges", [(1.2, 2.0), (3.2, 4.1)], 1337)
    channel.set_gaussian_sampler_parameters("friction", 3.0, 0.2, 1337)
    whole = payloads(sent_by(channel))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(1500):
        payload = bytearray(whole[rng.integers(3)])
        payload[rng.integers(len(payload))] = rng.integers(256)
        payload = payload[: rng.integers(len(payload) // 2, len(payload) + 1)]
        try:
            side_channels.environment_parameter(bytes(payload))[1](2)
        except ValueError:
            refused += 1
    assert refused > 300


def named(kind: int, *rest: bytes) -> bytes:
    return struct.pack("<i", 1) + b"a" + struct.pack("<i", kind) + b"".join(rest)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (named(7), "of kind 7"),
        (named(1, struct.pack("<ii", 0, 9)), "sampler kind 9"),
        (named(0), "ends too early"),
        (named(0, struct.pack("<f", np.nan)), "not a number"),
        (named(1, struct.pack("<iii", 0, 2, -3)), "list of -3"),
        (named(1, struct.pack("<iii", 0, 2, 2**30)), "ends too early"),
        (struct.pack("<i", 2**30) + b"a", "ends too early"),
        (struct.pack("<i", -1), "ends too early"),
        (struct.pack("<i", 1) + b"\xff", "not ASCII"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_told(payload: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        side_channels.environment_parameter(payload)
