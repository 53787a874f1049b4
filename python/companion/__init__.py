"""Companion trains the policies of companion robots in simulation and exports them for the robot."""

__version__ = "0.1.0"
