"""What the runs of an experiment have come to: health, progress, logs, scores, what can go."""
