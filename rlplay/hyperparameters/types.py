"""The hyperparameters that many agents have, as types: ``alpha: StepSize = 0.1`` in an agent's class body."""

from __future__ import annotations

from typing import Annotated, Any

from rlplay.functional.schedules import ScheduleLike
from rlplay.hyperparameters.domains import Choice, Features, Policy, Range, Settings


def normalized(what: str, example: str) -> Settings:
    """VecNormalize's settings by name: what they normalise, and an example.

    Example:
        >>> str(normalized("normalise observations", "clip_obs=5.0"))
        'settings by name, such as dict(clip_obs=5.0)'
    """
    above, switch = Range("", 0, open_low=True), Choice("", (True, False))
    parts: dict[str, Range | Choice] = dict.fromkeys(("norm_obs", "norm_reward"), switch)
    parts |= {**dict.fromkeys(("clip_obs", "clip_reward", "epsilon"), above), "gamma": Range("", 0, 1)}
    return Settings(f"{what}, or VecNormalize's settings", example, parts)


LearningRate = Annotated[
    ScheduleLike,
    Range("learning rate of the optimiser", 0, 10, open_low=True, schedule=True,
          remedy="3e-4 to 1e-2 is usual; lin_1e-3 falls to 0"),
]  # fmt: skip
FeaturesLike = Annotated[Any, Features("an unsupervised model between the observation and the agent")]
StepSize = Annotated[
    ScheduleLike,
    Range("step size α: how far a value moves towards its target", 0, 1, open_low=True, schedule=True, visits=True,
          remedy="Small steps average noise, 1 overwrites: 0.1 is a good start; 1/n averages all visits"),
]  # fmt: skip
LinearStep = Annotated[
    ScheduleLike,
    Range("step size α of each weight; α times the active features is how much of an error is mended", 0, 1,
          open_low=True, schedule=True, remedy="0.5 / (active features) is a good start: 0.0625 for 8 tilings"),
]  # fmt: skip
Intercept = Annotated[bool, Choice("one more feature that is always 1", (True, False))]
Discount = Annotated[
    float, Range("discount γ of future rewards, a step", 0, 1, remedy="0.99 looks about 100 steps ahead")
]
Exploration = Annotated[
    ScheduleLike,
    Range("exploration ε: probability of a random action", 0, 1, schedule=True, visits=True,
          remedy="0.1 explores in every tenth step; lin_1_0.05 goes from 1 to 0.05; 1/n falls with visits"),
]  # fmt: skip
InitialValue = Annotated[float, Range("value of every action at the start; above the truth it drives exploration")]
TraceDecay = Annotated[
    float, Range("trace decay λ: 0 looks one step ahead, 1 to the end", 0, 1, remedy="0.9 is a good start")
]
PlanningSteps = Annotated[
    int, Range("planning steps after each real step", 0, 100_000, integer=True, remedy="5 to 50 is usual")
]
PolicyLike = Annotated[Any, Policy("the policy that is followed, not learned")]
InPlace = Annotated[bool, Choice("use new values within the same sweep (True, faster)", (True, False))]
AverageReward = Annotated[bool, Choice("no discount: the reward a step in the long run", (True, False))]
Accuracy = Annotated[
    float, Range("stop when no value changes by more than θ in a sweep", 0, remedy="1e-9 is exact for people")
]
