"""Replace this process by a PostgreSQL program: not as root, and not outliving its parent.

Run as `python -I -S launcher.py PARENT_PID IDENTITY PROGRAM ARG…`. It is a separate program
because its changes to itself (namespaces, ids, signals) must happen between fork and exec, where
a process with threads cannot run Python. IDENTITY says how to avoid being root, which PostgreSQL
refuses:

    same        keep the current user (an ordinary one)
    map:ID      a user namespace that maps the current user to ID; files keep their owner
    switch:ID   change to this uid, for kernels that do not allow user namespaces
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000  # <linux/sched.h>
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
SIGINT = 2  # to import `signal` takes as long as to start Python


def enter_user_namespace(uid: int) -> None:
    """Enter a new user namespace in which this process has the id `uid` (user_namespaces(7)).

    Raises OSError where the kernel refuses.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not allow user namespaces here")
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{uid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as handle:
            handle.write(text)


def switch_user(uid: int) -> None:
    """Give up root permanently and become `uid` with its primary group."""
    import pwd

    os.setgroups([])
    os.setgid(pwd.getpwuid(uid).pw_gid)
    os.setuid(uid)


def die_with_parent(parent: int) -> None:
    """Have the kernel send SIGINT, PostgreSQL's fast shutdown, when the parent ends (Linux only).

    The parent is the *thread* that started this process. Must follow any change of ids, which would
    undo it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit("the process that started PostgreSQL has ended")


def main(parent: str, identity: str, program: str, *arguments: str) -> None:
    """Take on `identity`, tie this process to `parent` and replace it by `program`."""
    how, _, uid = identity.partition(":")
    try:
        if how == "map":
            enter_user_namespace(int(uid))
        elif how == "switch":
            switch_user(int(uid))
        die_with_parent(int(parent))
        os.execv(program, [program, *arguments])
    except OSError as error:
        raise SystemExit(f"cannot run {program}: {error}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
