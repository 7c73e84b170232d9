"""Training: runs in chunks, drivers, callbacks, evaluation, logs."""
