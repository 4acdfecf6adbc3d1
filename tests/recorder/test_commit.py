import subprocess

import pytest

from nntrace.recorder.commit import current_commit


def git(folder, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.check_output(command, cwd=folder, text=True).strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "feature/with-slash")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_a_branch_detached_head_and_packed_refs_are_understood(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert current_commit(repository) == commit
    git(repository, "pack-refs", "--all")
    assert current_commit(repository) == commit
    git(repository, "checkout", "-q", "--detach")
    assert current_commit(repository) == commit


def test_a_worktree_has_its_own_commit(repository, tmp_path):
    tree = tmp_path / "tree"
    git(repository, "worktree", "add", "-q", "-b", "other", str(tree))
    git(tree, "commit", "-q", "--allow-empty", "-m", "second")
    assert current_commit(tree) == git(tree, "rev-parse", "HEAD")
    assert current_commit(repository) == git(repository, "rev-parse", "HEAD")
    git(repository, "pack-refs", "--all")
    assert current_commit(tree) == git(tree, "rev-parse", "HEAD")


def test_no_repository_no_commit_and_damage_give_none(tmp_path):
    assert current_commit(tmp_path / "missing") is None
    git(tmp_path, "init", "-q")
    assert current_commit(tmp_path) is None
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert current_commit(tmp_path) is None
