"""Learning algorithms, one file each. They know torch and numpy; no robot, no simulator, no ML-Agents."""
