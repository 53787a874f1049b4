"""The physical robots of the tasks that have one, a file each: sensors, their rates, and how a command moves it."""
