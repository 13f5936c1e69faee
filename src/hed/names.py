"""Names that several packages and processes share; imports nothing."""

RECORD = "experiment.json"
# What was left open to the first run, and what it decided.
AUTO, PRECISION = "auto", "precision.json"
# In a run that was taken over from another experiment: says from where.
RESTORED = "restored.txt"

# Instead of a file: the data set's own list of genes.
LANDMARK = "landmark"
