# MuJoCo's names live in compiled modules that come without types; to the type checker each of them is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
