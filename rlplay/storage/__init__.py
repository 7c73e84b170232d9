"""Files: written whole or not at all, verified, never run."""
