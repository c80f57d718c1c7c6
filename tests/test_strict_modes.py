"""Who else could change what is in a folder; and that the course keeps nothing where somebody could."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs import home, strict_modes
from labs.errors import BadInput, LabError
from labs.strict_modes import weakness
from tests.another_user import NOBODY, as_nobody, only_root, shared_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ours below another one of ours."""
    made = tmp_path / "above" / "folder"
    made.mkdir(parents=True)
    for place in (made, made.parent):
        place.chmod(0o755)
    return made


def test_a_folder_of_ours_below_sticky_ones_of_roots_is_ours(folder: Path) -> None:
    assert weakness(folder) == ""
    assert weakness(folder / "not" / "made" / "yet") == ""


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o702, 0o1777])
def test_a_folder_that_everybody_may_write_to_is_not(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    assert weakness(folder) == f"Everybody may write to {folder}"
    assert weakness(folder / "file") == ("" if mode & 0o1000 else f"Everybody may write to {folder}")


def test_one_that_others_could_swap_is_not(folder: Path) -> None:
    folder.parent.chmod(0o777)
    assert weakness(folder) == f"Everybody may write to {folder.parent}"
    folder.parent.chmod(0o1777)
    assert weakness(folder) == "", "in a sticky folder only its owner can rename it"


def test_a_group_with_other_members_is_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o775)
    group = folder.stat().st_gid
    for members, ours in (({os.geteuid()}, True), ({os.geteuid(), 0}, True), ({os.geteuid(), NOBODY}, False), ({-1}, False)):
        monkeypatch.setattr(strict_modes, "_members", {group: frozenset(members)}.__getitem__)
        assert (weakness(folder) == "") is ours, members


def test_the_members_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their entries in both files; nobody is known of an empty group, or of one that is in neither."""
    users = {"ann": (1000, 1000), "ben": (1001, 100), "cid": (1002, 100)}
    groups = {1000: ("ann", []), 100: ("users", []), 7: ("crew", ["ann", "ben"]), 8: ("guests", ["stranger"]), 9: ("empty", [])}

    class Entry:
        def __init__(self, name: str) -> None:
            self.pw_name, (self.pw_uid, self.pw_gid) = name, users[name]

    monkeypatch.setattr("pwd.getpwall", lambda: [Entry(name) for name in users])
    monkeypatch.setattr("pwd.getpwnam", Entry)
    monkeypatch.setattr("grp.getgrgid", lambda number: (groups[number][0], "x", number, groups[number][1]))
    strict_modes._members.cache_clear()
    try:
        known = {number: strict_modes._members(number) for number in (*groups, 4711)}
    finally:
        strict_modes._members.cache_clear()
    assert known == {1000: {1000}, 100: {1001, 1002}, 7: {1000, 1001}, 8: {-1}, 9: {-1}, 4711: {-1}}


def test_an_access_control_list_is_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_modes, "_members", lambda _: frozenset({os.geteuid()}))
    folder.chmod(0o775)
    assert weakness(folder) == ""
    monkeypatch.setattr(os, "getxattr", lambda *_: b"\2\0\0\0", raising=False)
    assert "may write to" in weakness(folder)


@only_root
def test_what_belongs_to_somebody_else_is_not_ours(folder: Path) -> None:
    for place in (folder, folder.parent):
        os.chown(place, NOBODY, -1)
        assert weakness(folder).startswith(f"{place} belongs to ")
        os.chown(place, 0, -1)
    os.chown(folder, 4711, -1)
    assert weakness(folder) == f"{folder} belongs to another user (number 4711)"


@only_root
def test_what_belongs_to_root_is_good_for_everybody() -> None:
    with shared_folder() as place:
        (place / "sticky").mkdir()
        (place / "sticky").chmod(0o1777)

        def judge() -> None:
            assert weakness(place) == ""
            own = place / "sticky" / "own"
            own.mkdir()
            assert weakness(own) == ""

        assert as_nobody(judge) == ""


def test_it_can_be_imported_where_there_are_no_such_users() -> None:
    """On Windows `doctor` says what to do; that uses labs.home, too."""
    script = "import sys; sys.modules |= dict.fromkeys(('pwd', 'grp', 'resource', 'termios')); from labs import doctor"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


# --- the course's own folders


def test_nothing_is_kept_where_somebody_else_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is made there: a stranger's kubectl in the cache would be run."""
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "open" / "mine"))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for folder in (home.state, home.cache):
        with pytest.raises(LabError, match="does not keep its files in") as told:
            folder()
        assert f"Everybody may write to {tmp_path / 'open'}" in told.value.why
        assert "Set LABS_HOME" in told.value.try_this and "chmod go-w" in told.value.try_this
    assert not (tmp_path / "open" / "mine").exists()


@only_root
def test_nothing_is_kept_in_somebody_elses_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "theirs"))
    (tmp_path / "theirs" / "state").mkdir(parents=True)
    os.chown(tmp_path / "theirs" / "state", NOBODY, NOBODY)
    with pytest.raises(LabError, match="belongs to"):
        home.state()
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    with pytest.raises(LabError, match="belongs to"):
        home.cache()
    assert not (tmp_path / "theirs" / "cache").exists()


def test_a_link_to_a_folder_is_judged_by_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "open")
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "link"))
    assert home.state() == tmp_path / "open" / "state"
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(LabError, match="Everybody may write to"):
        home.state()


def test_folders_are_made_so_that_they_are_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask is."""
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "a" / "b"))
    before = os.umask(0)
    try:
        assert home.state() == home.state() == tmp_path / "a" / "b" / "state"
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "a", tmp_path / "a" / "b" / "state")] == ["0o755", "0o700"]


@pytest.mark.parametrize("place", ["file/below", "loop", "x" * 300])
def test_a_place_that_cannot_be_is_told(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("LABS_HOME", str(tmp_path / place))
    with pytest.raises(LabError, match="cannot keep its files in") as told:
        home.state()
    assert told.value.try_this.startswith("Set LABS_HOME")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_room_is_to_be_made_on_a_full_disk(error: int) -> None:
    assert home.advice(OSError(error, "")).startswith("Make room")


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO])
def test_and_nowhere_else(error: int) -> None:
    assert home.advice(OSError(error, "")).startswith("Set LABS_HOME to a folder that you may write to")


# --- the cluster's name


@pytest.mark.parametrize("name", ["ports", "ports-2", "2", "a.b", "a-.b"[:2], "ports-test-nftables", "x" * 49])
def test_names_that_clusters_can_have(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_NAME", name)
    assert home.cluster_name() == name


@pytest.mark.parametrize(
    "name", ["../../evil", "..", ".x", "-x", "x.", "x..y", "x-.y", "A", "a_b", "a b", "a\n", "é", "\udcff", "x" * 50, "x" * 300]
)
def test_names_that_they_cannot(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABS_NAME", name)
    with pytest.raises(BadInput, match="cannot be the name of a cluster") as told:
        home.kubeconfig()
    assert len(told.value.what) < 200


def test_an_empty_name_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_NAME", "")
    assert home.cluster_name() == "ports"
