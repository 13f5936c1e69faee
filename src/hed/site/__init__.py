"""A machine's settings, what its queues accept, and what a submission will do there."""
