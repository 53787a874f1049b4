import re
from collections.abc import Mapping
from typing import Any

import pytest

from trainers.ppo import Config, config_from


def test_settings_as_yaml_gives_them() -> None:
    config = config_from({"steps": 2e6, "learning_rate": "3e-4", "hidden_sizes": [64, 32], "discount": 1})
    assert config == Config(steps=2_000_000, learning_rate=3e-4, hidden_sizes=(64, 32), discount=1.0)
    assert isinstance(config.steps, int)
    assert isinstance(config.discount, float)


def test_an_unknown_setting_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=r"no setting 'learning_rat'; choose from steps, .*learning_rate") as error:
        config_from({"learning_rat": 1e-3})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"discount": 1.01}, "setting discount is 1.01; it must be in [0, 1]"),
        ({"steps": 0}, "setting steps is 0; it must be at least 1"),
        ({"steps": 10.5}, "setting steps is 10.5; it must be a whole number"),
        ({"learning_rate": 0}, "setting learning_rate is 0.0; it must be greater than 0"),
        ({"learning_rate": "fast"}, "setting learning_rate is 'fast'; it must be a number"),
        ({"learning_rate": float("nan")}, "it must be greater than 0"),
        ({"learning_rate": True}, "setting learning_rate is True; it must be a number"),
        ({"objective": "clipped"}, "setting objective is 'clipped'; choose from clip, kl"),
        ({"hidden_sizes": 64}, "setting hidden_sizes is 64; it must be a list"),
        ({"hidden_sizes": [64, 0]}, "setting hidden_sizes is 0; it must be at least 1"),
    ],
)
def test_a_wrong_value_is_named(settings: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        config_from(settings)


def test_ranges_are_checked_however_a_config_is_made() -> None:
    with pytest.raises(ValueError, match="setting clip is"):
        Config(clip=-0.1)
