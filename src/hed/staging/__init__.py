"""Copy data and software to the local disk of every node of a block, reading each byte once."""
