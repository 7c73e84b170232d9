"""The contract suite: what every agent must keep, as functions that a third party's tests can call too.

In a test file of your own:

    >>> from rlplay.testing import NotApplicable, agent_checks
    >>> for check in agent_checks():
    ...     try:
    ...         check("q-learning", "FrozenLake-v1")
    ...     except NotApplicable as why:
    ...         print(why)

Each check takes the id of a registered agent and an environment it fits. It raises AssertionError with what is wrong,
or `NotApplicable` where the agent or the environment does not have what is checked. ``steps`` says how long the runs
are, further arguments are hyperparameters (``n_envs=2``). With pytest, parametrise over `agent_checks()` and turn
`NotApplicable` into ``pytest.skip``. `check_env` does the same for an environment.
"""

from rlplay.testing.agent_checks import Check as Check
from rlplay.testing.agent_checks import NotApplicable as NotApplicable
from rlplay.testing.agent_checks import agent_checks as agent_checks
from rlplay.testing.agent_checks import check_bad_hyperparameters as check_bad_hyperparameters
from rlplay.testing.agent_checks import check_both_drivers as check_both_drivers
from rlplay.testing.agent_checks import check_chunks as check_chunks
from rlplay.testing.agent_checks import check_documented as check_documented
from rlplay.testing.agent_checks import check_files_of_other_agents as check_files_of_other_agents
from rlplay.testing.agent_checks import check_learn_in_parts as check_learn_in_parts
from rlplay.testing.agent_checks import check_own_and_native_dynamics as check_own_and_native_dynamics
from rlplay.testing.agent_checks import check_predict as check_predict
from rlplay.testing.agent_checks import check_probe_does_not_disturb as check_probe_does_not_disturb
from rlplay.testing.agent_checks import check_resume_in_new_process as check_resume_in_new_process
from rlplay.testing.agent_checks import check_same_seed_same_bits as check_same_seed_same_bits
from rlplay.testing.agent_checks import check_save_and_load as check_save_and_load
from rlplay.testing.agent_checks import check_sb3_evaluate_policy as check_sb3_evaluate_policy
from rlplay.testing.comparison import differences as differences
from rlplay.testing.comparison import fingerprint as fingerprint
from rlplay.testing.env_check import check_env as check_env
