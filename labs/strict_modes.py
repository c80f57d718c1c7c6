"""Whether somebody else could change what is in a folder, or swap it for another: judged as sshd's StrictModes does.

OpenSSH, misc.c, safe_path: each folder on the way belongs to us or to root, and nobody else may write to it. As Debian's
sshd (user-group-modes.patch) it takes a group that has no member but us, which is what many systems give to each user. Unlike
sshd it takes a sticky folder on the way (/tmp), where only its owner can rename what belongs to him. Changes nothing.
"""

import os
import stat
from functools import lru_cache
from pathlib import Path

_EVERY_NUMBER = "0 0 4294967295"  # of users, in /proc/self/uid_map: this is no user namespace


def weakness(path: Path) -> str:
    """How somebody else could change what `path` names, in a sentence ("/x belongs to user bob"); "" where nobody can.

    path: an absolute one without links in it (os.path.realpath); what is not there yet on the way is for us to make. OSError
    where a folder on the way cannot be looked into.
    """
    for place in (path, *path.parents):
        try:
            status = place.lstat()
        except FileNotFoundError:
            continue
        if status.st_uid not in _trusted():
            return f"{place} belongs to {_user(status.st_uid)}"
        if status.st_mode & stat.S_ISVTX and place != path:
            continue
        if status.st_mode & stat.S_IWOTH:
            return f"Everybody may write to {place}"
        if status.st_mode & stat.S_IWGRP and (_has_list(place) or not _members(status.st_gid) <= _trusted()):
            return f"Group {_group(status.st_gid)} may write to {place}"
    return ""


def _trusted() -> set[int]:
    """The numbers of the users whose folders are as good as ours: we and root.

    In a user namespace where root of the machine has no number, its files are shown with the overflow number, as are those of
    all who have none there (user_namespaces(7)).
    """
    users = {os.geteuid(), 0}
    try:
        if Path("/proc/self/uid_map").read_text("ascii").split() != _EVERY_NUMBER.split():
            users.add(int(Path("/proc/sys/kernel/overflowuid").read_text("ascii")))
    except OSError:  # no Linux
        pass
    return users


@lru_cache
def _members(group: int) -> frozenset[int]:
    """The numbers of a group's users; with -1 for those who cannot be known, as of a group without a single one."""
    import grp  # Windows has neither, and doctor, which uses this module, says there what to do
    import pwd

    try:
        name, _, _, named = grp.getgrgid(group)
    except KeyError:
        return frozenset({-1})
    users = {user.pw_uid for user in pwd.getpwall() if user.pw_gid == group}  # a directory service may not list all
    for user in (name, *named):  # useradd gives each user a group of the same name
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            users |= {-1} if user in named else set()
        else:
            users |= {entry.pw_uid} if user in named or entry.pw_gid == group else set()
    return frozenset(users or {-1})


def _has_list(place: Path) -> bool:
    """Whether an access control list says more than the mode, whose group bits then are only its mask (acl(5))."""
    try:
        return bool(os.getxattr(place, "system.posix_acl_access"))
    except (AttributeError, OSError):  # no Linux; none
        return False


def _user(number: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"another user (number {number})"


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
