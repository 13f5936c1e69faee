"""Leave-one-drug-out training of a drug response model, to find high error drugs.

The modules here compute and know nothing of Snakemake; `scripts/` are the commands over them,
and `rules/` say which command depends on which file.

data        tables: raw, preprocessed, partitioned, generated
config      settings and hyperparameters with their schemas
training    the network, its epochs, checkpoints and scores; `uno` and `candle` are its interfaces
experiment  the directory of an experiment: its plan, its record, its runs
watching    the state of the runs: health, progress, logs, scores, tarball
answers     what the predictions show: high error drugs, rankings, figures, the report
baselines   models that Uno has to beat
results     the tables of an experiment for a notebook
site        what a machine has and what its queues accept
pilot, staging, preflight    blocks of nodes: filled, supplied with files, checked
"""

import os

__version__ = "0.1.0"

# Else polars decides by a random sample of the rows whether threads add up each group in parts, and
# the last digits of a mean differ from one time to another. It reads this at each query.
os.environ.setdefault("POLARS_NO_PARTITION", "1")
