"""A machine: its settings and queues, what a submission will do there, and a run's usage of it."""
