"""Copy data and software to the node-local disk of every node of a block, read once in all."""
