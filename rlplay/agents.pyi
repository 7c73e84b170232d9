from agents import *  # noqa: F403
