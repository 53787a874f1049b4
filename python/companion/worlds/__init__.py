"""Anything that can be stepped, as one VecEnv: embedded, Unity."""
