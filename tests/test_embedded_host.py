"""Why the embedded cluster cannot run on a machine, by the words of a failed try and the kernel's settings."""

import pytest

from labs.embedded.host import judged

DENIED = "unshare: unshare failed: Operation not permitted"


@pytest.mark.parametrize(
    ("said", "settings", "why", "mend"),
    [
        (DENIED, {"user/max_user_namespaces": "0"}, "switched off", "sysctl user.max_user_namespaces"),
        (DENIED, {"kernel/unprivileged_userns_clone": "0"}, "root alone", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "unshare: write failed /proc/self/uid_map: Operation not permitted",
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "AppArmor",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("unshare: mount /proc failed: Operation not permitted", {}, "process list", "systempaths=unconfined"),
        (DENIED, {}, "seccomp", "seccomp=unconfined"),
        ("netlink: Error: cache initialization failed: Invalid argument", {}, "cache initialization failed", "nf_tables"),
    ],
)
def test_each_way_to_be_forbidden_has_its_mend(said: str, settings: dict[str, str], why: str, mend: str) -> None:
    found = judged(said, lambda name: settings.get(name, ""))
    assert why in found.why
    assert mend in found.mend
