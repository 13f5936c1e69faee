"""The configuration: settings and hyperparameters, their schemas, and the page about them."""
