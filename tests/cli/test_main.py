"""The front door: verbs are found by their files, and what goes wrong is one line and exit code 2."""

import json
import subprocess
import sys

import pytest

from companion import __version__, tasks
from companion.cli import main as front_door
from companion.cli import reward_verbs, verbs
from companion.cli._errors import one_line
from companion.menu import choices, pick
from tests.cli.conftest import Companion, environment, run_process


def test_help_names_every_verb(companion: Companion) -> None:
    shown = companion("--help")
    assert shown.code == 0
    assert {"tasks", "train", "evaluate", "export", "simulate", "doctor", "rewards"} <= set(choices(verbs))
    for verb in choices(verbs):
        assert f"{verb} " in shown.out
    assert companion().out == shown.out


def test_a_verb_with_verbs_of_its_own_shows_them(companion: Companion) -> None:
    shown = companion("rewards", "--help")
    assert shown.code == 0 and shown.out == companion("rewards").out
    assert "rescore " in shown.out and "companion rewards VERB --help" in shown.out
    companion("rewards", "rescor").assert_refused("no verb of 'companion rewards' 'rescor'; choose from", "rescore")
    companion("rewards", "rescore").assert_refused("LEDGER", "companion rewards rescore --help")


def test_version(companion: Companion) -> None:
    assert companion("--version").out.strip() == __version__


def every_verb() -> list[tuple[str, ...]]:
    """The words that each verb takes to be called, those with verbs of their own left out."""
    found = []
    for name in choices(verbs):
        inner = getattr(pick(verbs, name, "verb"), "VERBS", None)
        found += [(name, second) for second in choices(inner)] if inner else [(name,)]
    return found


@pytest.mark.parametrize("words", every_verb(), ids=" ".join)
def test_every_verb_has_help_and_a_summary(words: tuple[str, ...], companion: Companion) -> None:
    shown = companion(*words, "--help")
    assert shown.code == 0 and f"usage: companion {' '.join(words)}" in shown.out
    package = verbs if len(words) == 1 else reward_verbs
    assert (pick(package, words[-1], "verb").__doc__ or "").split("\n\n")[0].rstrip().endswith(".")


def test_wrong_words_are_refused(companion: Companion) -> None:
    companion("trian", "arm_reach").assert_refused("no verb 'trian'; choose from", "train")
    companion("_flags").assert_refused("no verb '_flags'")
    companion("train").assert_refused("TASK", "companion train --help")
    companion("train", "arm_reach", "--stepz", "3").assert_refused("--stepz", "companion train --help")
    companion("train", "arm_reach", "--steps").assert_refused("--steps")
    companion("train", "arm_reach", "--world", "gazebo").assert_refused("--world", "embedded", "unity")
    companion("tasks", "please").assert_refused("please")


def test_the_menu_is_there_at_once() -> None:
    """Help and menu import nothing that takes seconds."""
    heavy = "torch mujoco onnx onnxruntime scipy grpc mlagents_envs tensorboard pyarrow optuna plotly"
    for words in (["--help"], ["tasks"], ["train", "--help"], ["evaluate", "--help"], ["rewards", "rescore", "--help"]):
        code = (
            "import sys\nfrom companion.cli.main import main\n"
            f"try: main({words})\nexcept SystemExit: pass\n"
            f"print([name for name in {heavy.split()} if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
        assert done.stderr.strip() == "[]", words


def test_the_menu_lists_every_task(companion: Companion) -> None:
    table = companion("tasks").out
    entries = json.loads(companion("tasks", "--json").out)
    assert [entry["task"] for entry in entries] == tasks.names()
    for entry in entries:
        task = tasks.load(entry["task"])
        assert task.name in table and task.robot in table
        assert entry["observation_size"] == task.layout.size
        assert {"full", "sparse"} <= set(entry["recipes"])


def _raises(error: BaseException):
    def dispatch(words: list[str]) -> int:
        raise error

    return dispatch


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two\nlines"), "two lines"),
        (ValueError(), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "a.onnx"), "a.onnx: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "torch is not installed"),
        (FloatingPointError("the loss is nan"), "the loss is nan"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    error: Exception, words: str, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_door, "_dispatch", _raises(error))
    companion("tasks").assert_refused(words)
    assert "\n" not in one_line(error)


def test_a_fault_of_the_code_is_not_hidden(companion: Companion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_door, "_dispatch", _raises(KeyError("oops")))
    with pytest.raises(KeyError):
        companion("tasks")
    monkeypatch.setattr(front_door, "_dispatch", _raises(ValueError("what the user gave")))
    monkeypatch.setenv("COMPANION_TRACEBACK", "1")
    with pytest.raises(ValueError, match="what the user gave"):
        companion("tasks")


def test_an_interrupt_is_told_and_nothing_more(companion: Companion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_door, "_dispatch", _raises(KeyboardInterrupt()))
    outcome = companion("tasks")
    assert (outcome.code, outcome.err) == (130, "companion: interrupted\n")


def test_a_process_of_its_own_behaves_the_same(tmp_path) -> None:
    run_process("evaluate", "missing.onnx", cwd=tmp_path).assert_refused("missing.onnx: No such file")
    run_process("train", "arm_raech", cwd=tmp_path).assert_refused("no task 'arm_raech'; choose from", "arm_reach")
    assert list(tmp_path.iterdir()) == []
