"""The experiment directory: what a start will do, how far its runs are, what is kept of them."""
