"""Models of Stable-Baselines3 in and out: zips, VecNormalize's statistics and folders of Hugging Face, offline.

* `load_zip`: an agent from a zip; the file is data, nothing in it runs. `save_zip`: the other way.
* `as_model`: an agent as a model in torch.
* `read_vecnormalize`: what VecNormalize's own file holds, as data.
* `read_folder`, `write_card`: folders as Hugging Face and RL Zoo have them.
"""

from rlplay.sb3.hub import ModelFolder, read_folder, write_card
from rlplay.sb3.reading import load_zip
from rlplay.sb3.statistics import read_vecnormalize
from rlplay.sb3.writing import Written, as_model, save_zip

__all__ = [
    "ModelFolder",
    "Written",
    "as_model",
    "load_zip",
    "read_folder",
    "read_vecnormalize",
    "save_zip",
    "write_card",
]
