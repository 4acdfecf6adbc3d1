"""Names of run folders: of a program on its own, and of the processes of a job."""

import pytest

from nntrace.runs.naming import has_label, label_of, unique_name

SLURM = {"SLURM_JOB_ID": "81", "SLURM_STEP_ID": "2", "SLURM_STEP_NUM_TASKS": "4"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
MPI = {"PMIX_NAMESPACE": "prterun-host-12@1", "OMPI_COMM_WORLD_SIZE": "2"}


@pytest.fixture
def named(monkeypatch):
    """What a process with these variables names its run folder."""

    def name(variables):
        with monkeypatch.context() as patch:
            for variable, value in variables.items():
                patch.setenv(variable, value)
            return unique_name("train")

    return name


def test_two_runs_of_a_program_have_different_names(named):
    assert named({}) != named({})


@pytest.mark.parametrize("job", [SLURM, MPI, TORCHRUN], ids=["srun", "mpirun", "torchrun"])
def test_all_processes_of_a_job_give_their_run_the_same_name(named, job):
    assert named({**job, "RANK": "0"}) == named({**job, "RANK": "1"})


def test_two_steps_of_a_job_have_different_names(named):
    assert named(SLURM) != named({**SLURM, "SLURM_STEP_ID": "3"})


@pytest.mark.parametrize("size", ["SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"])
def test_the_only_process_of_a_job_is_named_as_one_on_its_own(named, size):
    alone = {**(SLURM if size in SLURM else MPI), size: "1"}
    assert named(alone) != named(alone)


def test_two_trainings_by_torchrun_on_several_machines_have_different_names(named):
    one = {**TORCHRUN, "WORLD_SIZE": "4", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
    assert named(one) == named(one) != named({**one, "MASTER_PORT": "29501"})


def test_an_mpirun_that_srun_started_is_the_job_of_its_processes(named):
    assert "prterun" in named({**SLURM, **MPI})


@pytest.mark.parametrize("job", [{}, SLURM, MPI], ids=["no job", "srun", "mpirun"])
def test_a_run_is_found_by_the_label_it_was_named_with(named, job):
    name = named(job)
    assert label_of(name) == "train"
    assert has_label(name, "train")
    assert not has_label(name, "tra")
