# SPDX-License-Identifier: GPL-2.0
"""What gdb reads first, started by the runner (scripts/runner/gdb.c): settings, the kernel's lx- commands, the kit's
mm- commands, and the way to the first stop. The environment says what is wanted:
    B               breakpoints, separated by blanks or commas: a function, file:line
    CMDS            commands to run at the stop, one a line; then gdb ends with a status
    MMUML_BOOT      directory of this boot            MMUML_ATTACH   join a running guest instead
    MMUML_ON_FAIL   stop at whatever fails only       MMUML_LIMIT    seconds after which a test counts as hung
    MMUML_SCRIPT    an interleaving to play (scripts/gdb/mmkit/interleave.py)
"""
import os
import sys

import gdb

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

for line in ("set pagination off", "set confirm off", "set verbose off", "set print inferior-events off",
             "set print thread-events off", "set breakpoint pending off", "set disable-randomization off",
             "set detach-on-fork on", "set follow-fork-mode parent", "set follow-exec-mode same",
             "set history save off", "set python print-stack message", "set print pretty on", "set style enabled on",
             "set inferior-tty /dev/null", "set startup-with-shell on", "set auto-load safe-path /",
             "set auto-load libthread-db on", "set max-value-size unlimited"):
    try:
        gdb.execute(line, to_string=True)
    except gdb.error:
        pass			# an older gdb without that setting
# UML lives on signals: the page faults of the kernel's own uaccess, the timer, the devices. SIGINT and SIGTRAP are gdb's.
gdb.execute("handle all nostop noprint pass", to_string=True)
gdb.execute("handle SIGINT stop print nopass", to_string=True)
gdb.execute("handle SIGTRAP stop print nopass", to_string=True)
gdb.execute("handle SIGABRT SIGSEGV nostop noprint pass", to_string=True)

# What scripts/cc.sh calls the build directory.
if gdb.current_progspace().filename:
    gdb.execute("set substitute-path /mmuml/build " + os.path.dirname(os.path.realpath(gdb.current_progspace().filename)))

from mmkit import session	# noqa: E402 (after sys.path)

session.main()
