"""The weight search: which weights work on a study's data. Optuna is used in this package alone."""
