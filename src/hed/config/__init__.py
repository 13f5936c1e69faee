"""What can be chosen: settings and hyperparameters, their schemas, and the page about them."""
