"""mlagents-learn files are read as mlagents-learn reads them, and what can't be done is refused by name and line.

Expected values are those of mlagents 1.1.0 for the same text (`RunOptions.from_dict`).
"""

import re
from pathlib import Path
from typing import Any

import pytest

from companion.mlagents.curriculum import Completion, Lesson
from companion.mlagents.parameters import EngineSettings, Gaussian, MultiRangeUniform, Uniform
from companion.mlagents.trainer_config import TrainerConfig, is_trainer_config, read_trainer_config
from companion.yaml_file import YamlError, parse, read
from trainers import ppo, sac

BALL = """\
behaviors:
  3DBall:
    trainer_type: ppo
    hyperparameters:
      batch_size: 64
      buffer_size: 12000
      learning_rate: 0.0003
      beta: 0.001
      epsilon: 0.2
      lambd: 0.99
      num_epoch: 3
      learning_rate_schedule: linear
    network_settings:
      normalize: true
      hidden_units: 128
      num_layers: 2
      vis_encode_type: simple
    reward_signals:
      extrinsic:
        gamma: 0.995
        strength: 1.0
    keep_checkpoints: 5
    max_steps: 5.0e5
    time_horizon: 1000
    summary_freq: 12000
    threaded: true
"""


def config(text: str) -> TrainerConfig:
    return read_trainer_config(parse(text, Path("learn.yaml")))


def test_a_ppo_file_as_it_is() -> None:
    found = config(BALL)
    assert list(found.behaviors) == ["3DBall"]
    ball = found.behavior("3DBall")
    assert ball.trainer == "ppo"
    given = ppo.config_from(ball.settings)  # every name is one of our PPO's
    assert (given.steps, given.buffer_size, given.batch_size, given.epochs) == (500_000, 12_000, 64, 3)
    assert (given.learning_rate, given.schedule, given.discount, given.gae_lambda) == (3e-4, "linear", 0.995, 0.99)
    assert (given.clip, given.clip_schedule, given.final_clip) == (0.2, "linear", 0.1)
    assert (given.entropy_coefficient, given.entropy_schedule) == (0.001, "linear")
    assert (given.hidden_sizes, given.activation, given.normalise_observations) == ((128, 128), "silu", True)
    assert (given.time_horizon, given.recurrent, given.stop_kl, given.max_grad_norm) == (1000, False, 0.0, 0.0)
    assert given.initial_std == pytest.approx(1 / 3)
    assert (ball.where("gae_lambda"), ball.where("steps")) == ("learn.yaml:10", "learn.yaml:23")
    assert ball.where("stop_kl") == "learn.yaml:2"


def test_what_changes_nothing_is_told_with_its_line() -> None:
    assert [note.split(" changes nothing here: ")[0] for note in config(BALL).notes] == [
        "learn.yaml:22: keep_checkpoints",
        "learn.yaml:26: threaded",
        "learn.yaml:25: summary_freq",
    ]


def test_defaults_are_those_of_mlagents() -> None:
    """For an empty behavior block mlagents trains with PPO, all schedules linear."""
    given = ppo.config_from(config("behaviors: {A: {}}").behavior("A").settings)
    assert (given.steps, given.buffer_size, given.batch_size, given.epochs) == (500_000, 10_240, 1024, 3)
    assert (given.learning_rate, given.discount, given.gae_lambda, given.time_horizon) == (3e-4, 0.99, 0.95, 64)
    assert (given.schedule, given.clip_schedule, given.entropy_schedule) == ("linear",) * 3
    assert (given.clip, given.entropy_coefficient) == (0.2, 0.005)
    assert (given.hidden_sizes, given.normalise_observations) == ((128, 128), False)


def test_ppos_schedules_follow_the_learning_rates_where_they_are_not_given() -> None:
    text = "behaviors: {A: {trainer_type: ppo, hyperparameters: {learning_rate_schedule: constant, %s}}}"
    given = ppo.config_from(config(text % "epsilon_schedule: linear").behavior("A").settings)
    assert (given.schedule, given.clip_schedule, given.entropy_schedule) == ("constant", "linear", "constant")


def test_a_memory_counts_hidden_state_and_cell() -> None:
    text = "behaviors: {Hallway: {network_settings: {num_layers: 1, memory: {sequence_length: 32, memory_size: 256}}}}"
    given = ppo.config_from(config(text).behavior("Hallway").settings)
    assert (given.recurrent, given.memory_size, given.sequence_length, given.hidden_sizes) == (True, 128, 32, (128,))
    given = ppo.config_from(config("behaviors: {A: {network_settings: {memory: {}}}}").behavior("A").settings)
    assert (given.recurrent, given.memory_size, given.sequence_length) == (True, 64, 64)


def test_a_sac_file_as_it_is() -> None:
    text = """\
behaviors:
  3DBallHard:
    trainer_type: sac
    hyperparameters:
      learning_rate: 3e-4
      batch_size: 256
      buffer_size: 500000
      buffer_init_steps: 1000
      tau: 0.01
      steps_per_update: 10.0
      save_replay_buffer: false
      init_entcoef: 0.5
      reward_signal_steps_per_update: 10.0
    network_settings: {normalize: true, hidden_units: 64, num_layers: 3}
    max_steps: 500000
    time_horizon: 1000
    summary_freq: 12000
"""
    found = config(text).behavior("3DBallHard")
    given = sac.config_from(found.settings)
    assert found.trainer == "sac"
    assert (given.batch_size, given.buffer_size, given.warm_up_steps, given.tau) == (256, 500_000, 1000, 0.01)
    assert (given.learning_rate, given.schedule, given.updates_per_step) == (3e-4, "constant", 0.1)
    assert (given.initial_temperature, given.learn_temperature, given.target_entropy) == (0.5, True, -1.0)
    assert (given.hidden_sizes, given.activation, given.normalise_observations) == ((64, 64, 64), "silu", True)
    assert (given.steps, given.log_interval, given.discount, given.n_step) == (500_000, 12_000, 0.99, 1)


def test_defaults_of_sac_are_those_of_mlagents() -> None:
    given = sac.config_from(config("behaviors: {A: {trainer_type: sac}}").behavior("A").settings)
    assert (given.batch_size, given.buffer_size, given.warm_up_steps, given.tau) == (128, 50_000, 0, 0.005)
    assert (given.updates_per_step, given.initial_temperature, given.hidden_sizes) == (1.0, 1.0, (128, 128))


def test_a_rewards_strength_is_the_inverse_of_a_temperature() -> None:
    """Strength x reward + α x entropy has the optimum of reward + α / strength x entropy; PPO knows no scale at all."""
    text = "behaviors: {A: {trainer_type: %s, reward_signals: {extrinsic: {strength: 4.0}}}}"
    assert sac.config_from(config(text % "sac").behavior("A").settings).initial_temperature == 0.25
    (note,) = config(text % "ppo").notes
    assert "strength changes nothing here" in note


DEFAULTS = """\
default_settings:
  trainer_type: ppo
  hyperparameters: {batch_size: 128, beta: 0.01}
  network_settings: {hidden_units: 256, memory: {sequence_length: 32}}
behaviors:
  Big:
    hyperparameters: {buffer_size: 2048, learning_rate_schedule: constant}
    network_settings: {memory: null}
"""


def test_default_settings_lie_under_each_behavior() -> None:
    """ML-Agents fills the default's schedules in first, so that of the learning rate changes alone."""
    found = config(DEFAULTS)
    big, other = (ppo.config_from(found.behavior(name).settings) for name in ("Big", "NotListed"))
    assert (big.batch_size, big.entropy_coefficient, big.buffer_size) == (128, 0.01, 2048)
    assert (big.schedule, big.clip_schedule, big.entropy_schedule) == ("constant", "linear", "linear")
    assert (big.hidden_sizes, big.recurrent) == ((256, 256), False)
    assert (other.batch_size, other.buffer_size, other.recurrent, other.sequence_length) == (128, 10_240, True, 32)
    assert found.behavior("NotListed").name == "NotListed"


def test_a_behavior_that_is_not_listed_needs_default_settings() -> None:
    with pytest.raises(ValueError, match="behavior 'Pyramids'; configured are 3DBall, without default_settings"):
        config(BALL).behavior("Pyramids")


CURRICULUM = """\
behaviors: {Jump: {}}
environment_parameters:
  gravity: -9.81
  mass: {sampler_type: gaussian, sampler_parameters: {mean: 2, st_dev: 0.3, seed: 7}}
  size: {sampler_type: multirangeuniform, sampler_parameters: {intervals: [[7, 8], [9, 10]]}}
  scale: {sampler_type: constant, sampler_parameters: {value: 3}}
  height:
    curriculum:
      - name: Low
        completion_criteria:
          measure: progress
          behavior: Jump
          min_lesson_length: 100
          threshold: 0.1
        value: {sampler_type: uniform, sampler_parameters: {max_value: 4.0}}
      - name: Middle
        completion_criteria: {behavior: Jump, threshold: 0.8, signal_smoothing: false, require_reset: true}
        value: 6.5
      - {name: High, value: 8}
"""


def test_environment_parameters_samplers_and_curricula() -> None:
    found = config(CURRICULUM).parameters
    single = {name: lesson.value for name, (lesson, *others) in found.items() if not others}
    assert single == {
        "gravity": -9.81,
        "mass": Gaussian(2.0, 0.3, 7),
        "size": MultiRangeUniform(((7.0, 8.0), (9.0, 10.0)), -1),
        "scale": 3.0,
    }
    assert found["height"] == (
        Lesson("Low", Uniform(0.0, 4.0, -1), Completion("Jump", "progress", 100, True, 0.1, False)),
        Lesson("Middle", 6.5, Completion("Jump", "reward", 0, False, 0.8, True)),
        Lesson("High", 8.0),
    )


def test_settings_of_players_engine_and_run() -> None:
    found = config(
        """\
behaviors: {A: {}}
env_settings:
  env_path: builds/Ball
  env_args: [--level, 3]
  base_port: 6000
  num_envs: 4
  num_areas: 2
  timeout_wait: 30
  seed: 12
  max_lifetime_restarts: -1
  restarts_rate_limit_n: 2
  restarts_rate_limit_period_s: 120
engine_settings: {width: 100, time_scale: 10, no_graphics: true}
checkpoint_settings: {run_id: ball2, results_dir: out, load_model: true}
torch_settings: {device: "cuda:0"}
"""
    )
    players = found.players
    assert (players.path, players.arguments, players.base_port) == (Path("builds/Ball"), ("--level", "3"), 6000)
    assert (players.count, players.areas, players.timeout_s, players.seed) == (4, 2, 30.0, 12)
    assert players.lifetime_restarts > 10**9
    assert (players.restarts_per_window, players.restart_window_s) == (2, 120.0)
    assert found.engine == EngineSettings(width=100, time_scale=10.0)
    assert found.no_graphics
    assert (found.run.directory, found.run.resume, found.run.force) == (Path("out/ball2"), True, False)
    assert found.device == "cuda"
    nothing = config(BALL)
    assert (nothing.run.directory, nothing.device, nothing.players.seed, nothing.players.base_port) == (None,) * 4


def test_the_configuration_that_mlagents_writes_into_its_results_is_read_too() -> None:
    """mlagents-learn leaves every setting there, spelled out; the behavior is the same as of the file it was given."""
    full = """\
behaviors:
  A:
    behavioral_cloning: null
    checkpoint_interval: 500000
    even_checkpoints: false
    hyperparameters: {batch_size: 1024, beta: 0.005, beta_schedule: linear, buffer_size: 10240, epsilon: 0.2,
      epsilon_schedule: linear, lambd: 0.95, learning_rate: 0.0003, learning_rate_schedule: linear, num_epoch: 3,
      shared_critic: false}
    init_path: null
    keep_checkpoints: 5
    max_steps: 500000
    network_settings: &n {deterministic: false, goal_conditioning_type: hyper, hidden_units: 128, memory: null,
      normalize: false, num_layers: 2, vis_encode_type: simple}
    reward_signals:
      extrinsic:
        gamma: 0.99
        network_settings: {deterministic: false, goal_conditioning_type: hyper, hidden_units: 128, memory: null,
          normalize: false, num_layers: 2, vis_encode_type: simple}
        strength: 1.0
    self_play: null
    summary_freq: 50000
    threaded: false
    time_horizon: 64
    trainer_type: ppo
checkpoint_settings: {force: false, inference: false, initialize_from: null, load_model: false, resume: false,
  results_dir: results, run_id: ppo, train_model: false}
debug: false
default_settings: null
engine_settings: {capture_frame_rate: 60, height: 84, no_graphics: false, no_graphics_monitor: false, quality_level: 5,
  target_frame_rate: -1, time_scale: 20, width: 84}
env_settings: {base_port: 5005, env_args: null, env_path: null, max_lifetime_restarts: 10, num_areas: 1, num_envs: 1,
  restarts_rate_limit_n: 1, restarts_rate_limit_period_s: 60, seed: -1, timeout_wait: 60}
environment_parameters: null
torch_settings: {device: null}
""".replace("&n ", "")
    assert config(full).behavior("A").settings == config("behaviors: {A: {}}").behavior("A").settings


REFUSED: dict[str, tuple[str, str]] = {
    "an unknown place": ("behaviours: {A: {}}", "1: no setting 'behaviours' in the file; choose from default_settings"),
    "no behavior": ("behaviors: {}", "name none"),
    "an unknown setting": (
        "behaviors:\n  A:\n    output_path: x",
        "3: no setting 'output_path' in behaviors.A; choose from trainer_type",
    ),
    "an old file": ("behaviors:\n  A:\n    batch_size: 64", "3: no setting 'batch_size' in behaviors.A"),
    "another trainer": (
        "behaviors:\n  A:\n    trainer_type: poca",
        "3: behaviors.A.trainer_type is not supported here: 'poca'; choose from ppo, sac",
    ),
    "nobody's hyperparameters": (
        "behaviors: {A: {hyperparameters: {beta: 1}}}",
        "behaviors.A.hyperparameters are given without a trainer_type",
    ),
    "hyperparameters of ppo in sac": (
        "behaviors: {A: {trainer_type: sac, hyperparameters: {beta: 1}}}",
        "no setting 'beta' in behaviors.A.hyperparameters; choose from batch_size",
    ),
    "another trainer than the default": (
        "default_settings: {trainer_type: ppo}\nbehaviors: {A: {trainer_type: sac}}",
        "2: behaviors.A.trainer_type is sac, but default_settings are for ppo",
    ),
    "a shared critic": (
        "behaviors: {A: {trainer_type: ppo, hyperparameters: {shared_critic: true}}}",
        "shared_critic is not supported here",
    ),
    "a word for a number": (
        "behaviors: {A: {trainer_type: ppo, hyperparameters: {num_epoch: many}}}",
        "num_epoch is 'many'; it must be a number",
    ),
    "half an epoch": (
        "behaviors: {A: {trainer_type: ppo, hyperparameters: {num_epoch: 2.5}}}",
        "num_epoch is 2.5; it must be a whole number",
    ),
    "a wrong schedule": (
        "behaviors: {A: {trainer_type: ppo, hyperparameters: {beta_schedule: cosine}}}",
        "beta_schedule is 'cosine'; choose from linear, constant",
    ),
    "too much": (
        "behaviors: {A: {trainer_type: ppo, hyperparameters: {lambd: 1.5}}}",
        "lambd is 1.5; it must be from 0 to 1",
    ),
    "a number for a claim": ("behaviors: {A: {network_settings: {normalize: 1}}}", "normalize is 1; it must be true"),
    "an encoder": ("behaviors: {A: {network_settings: {vis_encode_type: big}}}", "vis_encode_type is 'big'; choose"),
    "a deterministic learner": (
        "behaviors: {A: {network_settings: {deterministic: true}}}",
        "deterministic is not supported here",
    ),
    "an odd memory": (
        "behaviors: {A: {network_settings: {memory: {memory_size: 33}}}}",
        "memory_size is 33; it must be even",
    ),
    "long sequences": (
        "behaviors: {A: {trainer_type: ppo, hyperparameters: {batch_size: 16}, network_settings: {memory: {}}}}",
        "memory has a sequence_length of 64, more than the batch_size of 16",
    ),
    "a memory in sac": (
        "behaviors: {A: {trainer_type: sac, network_settings: {memory: {}}}}",
        "memory is not supported here: sac has no memory",
    ),
    "curiosity": (
        "behaviors:\n  A:\n    reward_signals:\n      extrinsic: {}\n      curiosity: {strength: 0.02}",
        "5: behaviors.A.reward_signals.curiosity is not supported here",
    ),
    "no reward": ("behaviors: {A: {reward_signals: {}}}", "reward_signals name no extrinsic reward"),
    "no strength": (
        "behaviors: {A: {reward_signals: {extrinsic: {strength: 0}}}}",
        "extrinsic.strength is 0; it must be at least 1e-06",
    ),
    "self-play": ("behaviors: {A: {self_play: {window: 10}}}", "self_play is not supported here"),
    "cloning": ("behaviors: {A: {behavioral_cloning: {demo_path: x}}}", "behavioral_cloning is not supported here"),
    "a start": ("behaviors: {A: {init_path: x.pt}}", "init_path is not supported here"),
    "another run's policy": (
        "behaviors: {A: {}}\ncheckpoint_settings: {initialize_from: old}",
        "2: checkpoint_settings.initialize_from is not supported here",
    ),
    "inference": ("behaviors: {A: {}}\ncheckpoint_settings: {inference: true}", "inference is not supported here"),
    "another GPU": ("behaviors: {A: {}}\ntorch_settings: {device: 'cuda:1'}", "'cuda:1'; choose from cpu, cuda"),
    "a monitor": (
        "behaviors: {A: {}}\nengine_settings: {no_graphics_monitor: true}",
        "no_graphics_monitor is not supported here",
    ),
    "no players": ("behaviors: {A: {}}\nenv_settings: {num_envs: 0}", "num_envs is 0; it must be at least 1"),
    "an unknown sampler": (
        "behaviors: {A: {}}\nenvironment_parameters: {x: {sampler_type: beta, sampler_parameters: {}}}",
        "sampler_type is 'beta'; choose from uniform, gaussian",
    ),
    "a sampler without parameters": (
        "behaviors: {A: {}}\nenvironment_parameters: {x: {sampler_type: uniform}}",
        "environment_parameters.x has no 'sampler_parameters'",
    ),
    "a range upside down": (
        "behaviors: {A: {}}\nenvironment_parameters: {x: {sampler_type: uniform, sampler_parameters: {min_value: 2}}}",
        "goes from 2 down to 1",
    ),
    "lessons of the old kind": (
        "behaviors: {A: {}}\nenvironment_parameters:\n  x:\n    curriculum:\n    - Lesson0: {value: 1}",
        r"5: no setting 'Lesson0' in environment_parameters.x.curriculum.0; choose from name",
    ),
    "an endless lesson": (
        "behaviors: {A: {}}\nenvironment_parameters: {x: {curriculum: [{name: a, value: 1}, {name: b, value: 2}]}}",
        "curriculum.0 has no 'completion_criteria'",
    ),
    "a lesson of nobody": (
        "behaviors: {A: {}}\nenvironment_parameters: {x: {curriculum: [{name: a, value: 1, completion_criteria: "
        "{behavior: B}}, {name: b, value: 2}]}}",
        "completion_criteria.behavior is B; choose from A",
    ),
    "a reset of many": (
        "behaviors: {A: {}, B: {}}\nenvironment_parameters: {x: {curriculum: [{name: a, value: 1, completion_criteria: "
        "{behavior: A, require_reset: true}}, {name: b, value: 2}]}}",
        "require_reset is not supported here: several behaviors",
    ),
    "progress beyond the end": (
        "behaviors: {A: {}}\nenvironment_parameters: {x: {curriculum: [{name: a, value: 1, completion_criteria: "
        "{behavior: A, measure: progress, threshold: 2}}, {name: b, value: 2}]}}",
        "threshold is 2; it must be from 0 to 1",
    ),
    "a list": ("behaviors: [A]", "behaviors is a list; it must be a mapping"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_by_name_and_line(case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(YamlError, match=words) as error:
        config(text)
    assert str(error.value).startswith("learn.yaml:")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(BALL, True), (DEFAULTS, True), ("steps: 1000\nlearning_rate: 1e-3", False), ("[behaviors]", False)],
)
def test_the_two_kinds_of_file_are_told_apart(text: str, expected: Any) -> None:
    assert is_trainer_config(parse(text, Path("x.yaml"))) is expected


def test_the_example_of_the_page_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "mlagents_learn.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    found = config(example)
    assert [lesson.name for lesson in found.parameters["wall_height"]] == ["Low", "High"]
    assert found.parameters["wall_height"][0].completion == Completion("Jump", "reward", 100, True, 0.8, False)


@pytest.mark.parametrize(
    ("task", "behavior", "horizon"), [("arm_reach", "ArmReach", 64), ("mobile_goto", "MobileGoto", 128)]
)
def test_what_stock_mlagents_is_compared_with_is_read(task: str, behavior: str, horizon: int) -> None:
    file = Path(__file__).parents[2] / "benchmarks" / "mlagents_learn" / f"{task}.yaml"
    found = read_trainer_config(read(file)).behavior(behavior)
    given = ppo.config_from(found.settings)
    assert (given.schedule, given.normalise_observations, given.time_horizon) == ("constant", True, horizon)
