"""Tables: IMPROVE's raw files, DATA_SOURCE, a run's partition, and test data of any size."""
