"""A stand-in for a PBS server and its nodes, for tests: see cluster.Cluster.

Nothing is imported here, since the commands start without the packages that the cluster needs.
"""
