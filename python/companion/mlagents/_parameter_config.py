"""`environment_parameters` of an mlagents-learn file: numbers, samplers and curricula."""

from typing import Literal, cast

from companion.mlagents._behavior_config import Notes
from companion.mlagents._config_node import Node
from companion.mlagents.curriculum import UNSET_SEED, Completion, Lesson
from companion.mlagents.parameters import Gaussian, MultiRangeUniform, Parameter, Uniform

_SAMPLERS = ("uniform", "gaussian", "multirangeuniform", "constant")
_CRITERIA = ("behavior", "measure", "min_lesson_length", "signal_smoothing", "threshold", "require_reset")


def read_lessons(parameter: str, node: Node, notes: Notes) -> tuple[Lesson, ...]:
    """The lessons of an environment parameter; a single one where it has no curriculum.

    Raises:
        companion.yaml_file.YamlError: if it is neither a number nor a sampler nor a curriculum.
    """
    if not isinstance(node.data, dict) or "curriculum" not in node.data:
        return (Lesson(parameter, _value(node)),)
    lessons = node.only(("curriculum",)).need("curriculum")
    if not lessons.items:
        raise lessons.wrong("has no lesson")
    *first, last = lessons.items
    if last.only(("name", "value", "completion_criteria")).get("completion_criteria") is not None:
        notes.add(last.need("completion_criteria"), "no lesson follows this one")
    return (*(_lesson(lesson, is_last=False) for lesson in first), _lesson(last, is_last=True))


def _lesson(node: Node, *, is_last: bool) -> Lesson:
    node.only(("name", "value", "completion_criteria"))
    name, value = node.need("name").as_text(), _value(node.need("value"))
    if is_last:
        return Lesson(name, value)
    return Lesson(name, value, _completion(node.need("completion_criteria")))


def _completion(node: Node) -> Completion:
    node.only(_CRITERIA)
    measure = cast(Literal["reward", "progress"], node.choice("measure", "reward", ("reward", "progress")))
    bounds = (0.0, 1.0) if measure == "progress" else (-float("inf"), float("inf"))
    return Completion(
        behavior=node.need("behavior").as_text(),
        measure=measure,
        min_lesson_length=node.whole("min_lesson_length", 0, 0),
        signal_smoothing=node.flag("signal_smoothing", True),
        threshold=node.number("threshold", 0.0, *bounds),
        require_reset=node.flag("require_reset"),
    )


def _value(node: Node) -> Parameter:
    """A number, or a sampler."""
    if not isinstance(node.data, dict):
        return node.as_number()
    node.only(("sampler_type", "sampler_parameters"))
    kind = node.need("sampler_type")
    if kind.data not in _SAMPLERS:
        raise kind.wrong(f"is {kind.data!r}; choose from {', '.join(_SAMPLERS)}")
    return _SAMPLER[kind.data](node.need("sampler_parameters"))


def _constant(node: Node) -> Parameter:
    _seed(node.only(("value", "seed")))
    return node.number("value", 0.0)


def _uniform(node: Node) -> Parameter:
    seed = _seed(node.only(("min_value", "max_value", "seed")))
    low, high = node.number("min_value", 0.0), node.number("max_value", 1.0)
    if low > high:
        raise node.wrong(f"goes from {low:g} down to {high:g}")
    return Uniform(low, high, seed)


def _gaussian(node: Node) -> Parameter:
    seed = _seed(node.only(("mean", "st_dev", "seed")))
    return Gaussian(node.number("mean", 1.0), node.number("st_dev", 1.0), seed)


def _intervals(node: Node) -> Parameter:
    seed = _seed(node.only(("intervals", "seed")))
    given = node.get("intervals")
    return MultiRangeUniform(((0.0, 1.0),) if given is None else tuple(map(_interval, given.items)), seed)


def _interval(node: Node) -> tuple[float, float]:
    ends = [end.as_number() for end in node.items]
    if len(ends) != 2 or ends[0] > ends[1]:
        raise node.wrong(f"is {ends}; an interval is [low, high]")
    return ends[0], ends[1]


def _seed(node: Node) -> int:
    return node.whole("seed", UNSET_SEED, UNSET_SEED)


_SAMPLER = {"constant": _constant, "uniform": _uniform, "gaussian": _gaussian, "multirangeuniform": _intervals}
