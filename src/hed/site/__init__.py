"""A machine: its settings and queues, what a submission will do there, what a run uses of it."""
