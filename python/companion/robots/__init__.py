"""Facts of each robot, one file each: geometry, masses, limits, sensors, with their sources."""
