"""A file for each topic: `arithmetic()`, `init(seed)` and `training(trials)`, those that it has."""
