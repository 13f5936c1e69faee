"""The experiment directory: what a start will do, and what is recorded of it and of its runs."""
