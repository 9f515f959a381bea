"""Training with Lightning: the module, schedules and callbacks."""
