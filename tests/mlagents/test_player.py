import logging
import struct
from uuid import UUID

import numpy as np
import pytest

from companion.mlagents import player, side_channels
from companion.mlagents.player import Address, Role, largest_copies, play
from companion.mlagents.side_channels import WireError
from companion.mlagents.stock import UnityMessageProto
from tests.mlagents.counting import BEHAVIOR, STATISTICS, CountingWorld
from tests.mlagents.scripted_trainer import Script, reset, step, trainer, welcome

EMPTY = UnityMessageProto(header={"status": 200}).SerializeToString()


def play_against(answers: list[bytes], copies: int = 2, bad: int = -1, seed: int | None = None) -> Script:
    with trainer(answers) as script:
        role = Role(BEHAVIOR, copies, lambda number, _: CountingWorld(number, bad), seed, STATISTICS)
        play(role, Address(script.port))
    return script


def agents(message: object) -> list[tuple[int, bool, bool, float, list[float]]]:
    """(id, done, max_step_reached, reward, observation) of every AgentInfo, in order."""
    return [
        (info.id, info.done, info.max_step_reached, info.reward, list(info.observations[0].float_data.data))
        for info in message.unity_output.rl_output.agentInfos[BEHAVIOR.name].value  # type: ignore[attr-defined]  # protobuf
    ]


def parameter(name: str, value: float) -> bytes:
    payload = struct.pack("<i", len(name)) + name.encode() + struct.pack("<if", 0, value)
    return side_channels.ENVIRONMENT_PARAMETERS.bytes_le + struct.pack("<i", len(payload)) + payload


def test_the_hello_says_who_dials_in() -> None:
    init = play_against([welcome()]).heard[0].unity_output.rl_initialization_output
    assert (init.name, init.communication_version) == (BEHAVIOR.name, "1.5.0")
    assert all(getattr(init.capabilities, entry.name) for entry in init.capabilities.DESCRIPTOR.fields)


def test_a_behaviour_is_announced_once_and_with_its_first_agents() -> None:
    heard = play_against([welcome(), reset(), step(np.zeros((2, 2))), reset()]).heard
    announced = [len(message.unity_output.rl_initialization_output.brain_parameters) for message in heard]
    assert announced == [0, 0, 1, 0, 0]
    assert agents(heard[2]) == [(0, False, False, 0.0, [0.0, 0.0, 7.0]), (1, False, False, 0.0, [1.0, 0.0, 7.0])]


def test_a_reset_sends_no_ends_and_goes_on_with_other_random_numbers() -> None:
    heard = play_against([welcome(), reset(), step(np.ones((2, 2))), reset(), reset()]).heard
    for message in heard[4:]:
        assert [(entry[1], entry[3], entry[4][1]) for entry in agents(message)] == [(False, 0.0, 0.0)] * 2
    assert len({agents(message)[0][4][2] for message in heard[2:]} - {7.0}) == 2


def test_end_and_new_decision_share_a_message_and_an_id() -> None:
    script = play_against([welcome(), reset()] + [step(np.full((2, 2), 0.25))] * 4)
    third, fourth = agents(script.heard[5]), agents(script.heard[6])
    assert third == [
        (0, True, False, 0.5, [0.0, 3.0, 7.0]),
        (0, False, False, 0.0, [0.0, 0.0, 7.0]),
        (1, False, False, 0.5, [1.0, 3.0, 7.0]),
    ]
    assert fourth[0] == (1, True, True, 0.5, [1.0, 4.0, 7.0])
    assert (fourth[1][3], fourth[2][3]) == (0.5, 0.0)


def test_an_episode_reports_its_terms_and_success() -> None:
    script = play_against([welcome(), reset()] + [step(np.full((2, 2), 0.25))] * 3)
    sent = list(side_channels.split(script.heard[5].unity_output.rl_output.side_channel))
    assert {channel for channel, _ in sent} == {side_channels.STATS}
    assert [side_channels.float_property(payload) for _, payload in sent] == [
        ("Environment/Success", 1.0),
        ("Reward/sum", 1.5),
        ("RewardRaw/sum", 0.5),
        ("Metrics/length", 3.0),
    ]


def test_a_numerically_bad_episode_is_cut_off_where_it_was_last_good() -> None:
    script = play_against([welcome(), reset()] + [step(np.ones((2, 2)))] * 2, bad=1)
    assert agents(script.heard[4]) == [
        (1, True, True, 0.0, [1.0, 1.0, 7.0]),
        (0, False, False, 2.0, [0.0, 2.0, 7.0]),
        (1, False, False, 0.0, [1.0, 0.0, 7.0]),
    ]
    assert b"Environment/Invalid Episodes" in script.heard[4].unity_output.rl_output.side_channel


def test_parameters_come_before_the_command_they_travel_with(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sent = parameter("bias", 0.5) + parameter("baas", 1.0) + parameter("baas", 1.0)
    script = play_against([welcome(), reset(sent), step(np.zeros((2, 2)))])
    assert [entry[3] for entry in agents(script.heard[3])] == [0.5, 0.5]
    refused = [record.message for record in caplog.records if "baas" in record.message]
    assert refused == ["environment parameter 'baas' is not taken: no parameter 'baas'; choose from bias"]
    assert player.REFUSED_PARAMETERS.encode() in script.heard[2].unity_output.rl_output.side_channel


def test_areas_multiply_copies_and_a_seed_can_be_insisted_on() -> None:
    script = play_against([welcome(seed=3, areas=3), reset()], copies=2, seed=11)
    first = agents(script.heard[2])
    assert [entry[0] for entry in first] == list(range(6))
    assert first[0][4][2] == 11.0


def test_a_first_step_without_reset_resets() -> None:
    assert agents(play_against([welcome(), EMPTY]).heard[2])[0][4] == [0.0, 0.0, 7.0]


def test_no_actions_are_zeros(caplog: pytest.LogCaptureFixture) -> None:
    script = play_against([welcome(), reset(), step()])
    assert [entry[3] for entry in agents(script.heard[3])] == [0.0, 0.0]
    assert "no actions came" in caplog.text


def test_unknown_channels_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    unknown = UUID(int=5).bytes_le + struct.pack("<i", 2) + b"hi"
    play_against([welcome(), reset(unknown + unknown), step(np.zeros((2, 2)), side_channel=unknown)])
    assert caplog.text.count("is unknown here") == 1


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_trainer_that_is_gone_ends_it_quietly(at: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answers = [welcome(), reset(), step(np.zeros((2, 2)))]
    play_against([*answers[:at], b"hang up"])
    assert "lost: the trainer was killed" in caplog.text


def test_the_trainers_goodbye_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    play_against([welcome(), reset()])
    assert caplog.records[-1].message == "closed: the trainer ended the session"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([welcome(version="2.0.0")], "speaks ML-Agents' API version '2.0.0'"),
        ([welcome(version="")], "speaks ML-Agents' API version ''"),
        ([EMPTY], "without initialization"),
        ([b"\xff\xff\xff"], "not a UnityMessage"),
        ([welcome(areas=10**6)], "1000000 areas of 2"),
        ([welcome(), reset(b"12345")], "side channel bytes end"),
        ([welcome(), reset(), step(np.zeros((3, 2)))], "3 actions came for 2 agents"),
        ([welcome(), reset(), step(np.zeros((2, 3)))], "3 continuous numbers"),
        ([welcome(), reset(), step([[0.0, np.nan], [0.0, 0.0]])], "action 1 of agent 0 is nan"),
        ([welcome(), reset(), step(np.zeros((2, 2)), "Else?team=0")], "behaviour 'Else\\?team=0'"),
    ],
)
def test_what_no_trainer_sends_ends_it_with_a_clear_word(answers: list[bytes], said: str) -> None:
    with trainer(answers) as script, pytest.raises(ValueError, match=said) as error:
        play(Role(BEHAVIOR, 2, lambda number, _: CountingWorld(number), None, STATISTICS), Address(script.port))
    assert script.heard[-1].header.status == 500
    assert script.heard[-1].header.message == str(error.value)


def test_nobody_at_the_address_is_told() -> None:
    role = Role(BEHAVIOR, 2, lambda number, _: CountingWorld(number))
    with pytest.raises(ConnectionError, match=r"no ML-Agents trainer answers at 127\.0\.0\.1:1 \(Deadline"):
        play(role, Address(1, timeout_s=0.2))
    with trainer([b"hang up"]) as script, pytest.raises(ConnectionError, match="the trainer was killed"):
        play(role, Address(script.port))


def test_as_many_copies_as_fit_into_a_message() -> None:
    limit = largest_copies(BEHAVIOR, STATISTICS)
    role = Role(BEHAVIOR, limit + 1, lambda number, _: CountingWorld(number), None, STATISTICS)
    with pytest.raises(ValueError, match=f"from 1 to {limit} do"):
        play(role, Address(1))

    class AllEndAtOnce(CountingWorld):
        def __post_init__(self) -> None:
            super().__post_init__()
            self._lengths[:] = 1

    with trainer([welcome(), reset(), step(np.zeros((limit, 2)))]) as script:
        play(Role(BEHAVIOR, limit, lambda number, _: AllEndAtOnce(number), None, STATISTICS), Address(script.port))
    assert 0.9 * 2**22 < script.heard[3].ByteSize() <= 2**22


def test_a_trainer_of_another_protocol_raises_wire_error() -> None:
    assert issubclass(WireError, ValueError)
