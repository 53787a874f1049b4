"""A policy on a machine that has no torch and no simulator."""
