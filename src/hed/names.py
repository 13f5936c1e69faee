"""Names that several packages and processes share; imports nothing."""

RECORD = "experiment.json"
# What is left open for the first run to decide, and the file with its decision.
AUTO, PRECISION = "auto", "precision.json"
# In a run that was taken over from another experiment, or continues one of it: the source.
RESTORED, ADOPTED = "restored.txt", ".adopted"

# Instead of a file: the data set's own list of genes.
LANDMARK = "landmark"

# Files of an experiment.
JOBS = "jobid.txt"
SCORES, SCORES_TABLE = "scores.csv", "scores.parquet"
EPOCHS, PROGRESS = "epochs.txt", "progress.txt"
HIGH_ERRORS, RANKING, REPORT = "high_error_drugs.csv", "ranking.csv", "report.html"
# Directories of an experiment.
RUNS, MARKERS, LOGS, FIGURES, DATA = "run", "markers", "out", "figures", "data"

# Files of a run.
PARAMETERS, RANK, TIMINGS = "parameters.txt", "rank.txt", "timings.json"
MONITOR = "monitor.csv"
# The jobs of a run, and the log of each: run, phase.
PHASES, LOG_OF = ("restore", "partition", "train", "score"), "out-{}-{}.txt"
# The last one after early stopping alone.
HISTORY, RESULT, STOPPED = "history.txt", "result.txt", "stop.marker"
SCORES_OF, PREDICTED_OF = "{}_scores.json", "{}_y_data_predicted.csv"  # a stage
TEST_SCORES, VAL_SCORES = SCORES_OF.format("test"), SCORES_OF.format("val")
BASELINE_SCORES, EMPTY = "baseline_scores.json", "test-empty.txt"
PREDICTED = PREDICTED_OF.format("test")
# The directory of a run's checkpoints, and what describes each.
CHECKPOINTS, CHECKPOINT_INFO = "ckpts", "ckpt-info.json"
