"""Training and scoring of Uno, on either Keras; nothing else here imports TensorFlow."""
