import os
import subprocess
import sys
from importlib.machinery import PathFinder

import pytest

from companion.mlagents import compatibility
from companion.mlagents.stock import UnityMessageProto

OLD = "DESCRIPTOR = _descriptor.FileDescriptor(name='a', serialized_pb=_b('\\n\\x01\\xff'))"
OLD_BYTES = "DESCRIPTOR = _descriptor.FileDescriptor(name='a', serialized_pb=b'\\x01\\xfe')"
NEWER = "DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(b'\\x05')"


@pytest.mark.parametrize(("source", "expected"), [(OLD, b"\n\x01\xff"), (OLD_BYTES, b"\x01\xfe"), (NEWER, b"\x05")])
def test_the_descriptor_is_found_in_every_notation(source: str, expected: bytes) -> None:
    assert compatibility.serialized_descriptor(source) == expected


def test_a_file_without_a_descriptor_is_refused() -> None:
    with pytest.raises(ImportError, match="no serialized descriptor"):
        compatibility.serialized_descriptor("x = 1")


def test_modules_of_a_current_protoc_are_left_alone() -> None:
    current = "from google.protobuf.internal import builder as _builder\n" + NEWER
    assert not compatibility.is_too_old(current)
    assert compatibility.is_too_old(OLD)


def test_other_modules_are_left_alone() -> None:
    ours = next(finder for finder in sys.meta_path if type(finder).__name__ == "_MessageFinder")
    assert ours.find_spec("mlagents_envs.base_env", None) is None
    assert ours.find_spec("mlagents_envs.communicator_objects.nothing_pb2", []) is None
    assert PathFinder.find_spec("mlagents_envs") is not None


def test_installing_twice_changes_nothing() -> None:
    before = list(sys.meta_path)
    compatibility.install()
    assert sys.meta_path == before


def test_messages_survive_the_wire() -> None:
    message = UnityMessageProto(header={"status": 200, "message": "hello"})
    message.unity_output.rl_output.agentInfos["A"].value.add(id=3, reward=0.5).observations.add(shape=[2])
    again = UnityMessageProto.FromString(message.SerializeToString())
    assert again == message
    assert again.unity_output.rl_output.agentInfos["A"].value[0].reward == 0.5


WITHOUT_DISTUTILS = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.split(".")[0] == "distutils" else find(name, *rest)
sys.meta_path = [finder for finder in sys.meta_path if "istutils" not in type(finder).__name__]

from companion.mlagents.stock import UnityEnvironment
from distutils.version import StrictVersion

assert StrictVersion.__module__ == "companion.mlagents.compatibility", StrictVersion.__module__
assert UnityEnvironment._check_communication_compatibility("1.5.0", "1.5.0", "4.0.3")
assert not UnityEnvironment._check_communication_compatibility("2.0.0", "1.5.0", "4.0.3")
"""


def test_the_stock_client_imports_without_distutils() -> None:
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", WITHOUT_DISTUTILS], check=True, timeout=60, env=here)


def test_a_version_is_three_numbers() -> None:
    assert compatibility.StrictVersion("1.5").version == (1, 5, 0)
    with pytest.raises(ValueError, match="not a version number"):
        compatibility.StrictVersion("one.two")
