"""Become a PostgreSQL program: not as root, and not outliving the process that asked for it.

Run as `python -I -S launcher.py PARENT_PID IDENTITY PROGRAM ARG…`, a program of its own
because what it does to itself (namespaces, ids, signals) must happen between fork and exec, where
a process with threads may not run Python. IDENTITY is how to avoid being root, which PostgreSQL
refuses:

    same        stay who we are (an ordinary user)
    map:ID      a user namespace in which we are called ID; files still belong to who we are
    switch:ID   become the account with this uid, for kernels that allow no user namespace
"""

import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000  # <linux/sched.h>
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def enter_user_namespace(uid: int) -> None:
    """Call ourselves `uid` inside a new user namespace (user_namespaces(7)).

    Raises OSError where the kernel refuses.
    """
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "the kernel allows no user namespace here")
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{uid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as handle:
            handle.write(text)


def switch_user(uid: int) -> None:
    """Give up root for good and become `uid` with its primary group."""
    import pwd

    os.setgroups([])
    os.setgid(pwd.getpwuid(uid).pw_gid)
    os.setuid(uid)


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGINT, PostgreSQL's fast shutdown, when the parent ends (Linux only).

    The parent is the *thread* that started us. Comes after any change of ids, which would undo it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit("the process that started PostgreSQL has gone")


def main(parent: str, identity: str, program: str, *arguments: str) -> None:
    """Take on `identity`, tie our life to `parent` and become `program`."""
    how, _, uid = identity.partition(":")
    try:
        if how == "map":
            enter_user_namespace(int(uid))
        elif how == "switch":
            switch_user(int(uid))
        die_with_parent(int(parent))
        os.execv(program, [program, *arguments])
    except OSError as error:
        raise SystemExit(f"{program} cannot be run: {error}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
