"""The figures of an experiment, one module each, and the look that they share."""
