"""The state of an experiment's runs: health, progress, logs, scores, what can be removed."""
