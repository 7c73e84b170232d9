"""Any estimator in an agent: found, described, saved, and laid between observation and learning rule."""
