"""The ML-Agents language: its messages on current protobuf, its side channels, and the player's part of the talk.

Importing this room makes `mlagents_envs` 1.1.0 importable on this Python (see `compatibility`).
"""

import os

from companion.mlagents import compatibility

# gRPC tells on stderr of every connection that a trainer closes in the ordinary way; it reads this once, on import.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
compatibility.install()
