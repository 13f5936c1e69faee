"""The experiment directory: what a start will do, and the records of it and of its runs."""
