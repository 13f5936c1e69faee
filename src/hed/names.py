"""Names that several packages and processes share; imports nothing."""

RECORD = "experiment.json"
# What was left open to the first run, and what it decided.
AUTO, PRECISION = "auto", "precision.json"
# In a run that was taken over from another experiment: says from where.
RESTORED = "restored.txt"

# How Snakemake's child processes learn which experiment they work for.
VARIABLE = "HED_EXPERIMENT"
# Whether, and where, one Python a slot executes the science commands: a directory whose name ends
# with the id of the process that its servers live as long as (see `hed.warm`).
WARM = "HED_WARM"
# How a pilot learns what each science command is started with.
LAUNCHER = "HED_LAUNCHER"

# Instead of a file: the data set's own list of genes.
LANDMARK = "landmark"
