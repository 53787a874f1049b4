"""The toolchain and what is built with it, once for all tests of the Unity project."""

import pytest

from tests.unity.golden import Golden
from tests.unity.toolchain import Toolchain, toolchain


@pytest.fixture(scope="session")
def chain() -> Toolchain:
    """Skips, and says why, where it can't be had."""
    return toolchain()


@pytest.fixture(scope="session")
def golden(chain: Toolchain) -> Golden:
    return Golden.build(chain)
