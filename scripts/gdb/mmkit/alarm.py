# SPDX-License-Identifier: GPL-2.0
"""A time limit for a guest that runs: a hang has no breakpoint."""
import os
import signal
import threading

import gdb


class Alarm:
    """Interrupts the guest after @seconds, as ^C does; a cancelled one does nothing."""

    def __init__(self, seconds):
        self.rang, self.live, self.lock = False, True, threading.Lock()
        self.pid = gdb.selected_inferior().pid
        self.timer = threading.Timer(seconds, self.ring)
        self.timer.daemon = True
        self.timer.start()

    def ring(self):
        """In a thread of its own: gdb itself waits for the guest."""
        with self.lock:
            # A guest that was yet to start when the alarm was set.
            pid = self.pid or gdb.selected_inferior().pid
            if self.live and pid:
                self.rang = True
                try:
                    os.kill(pid, signal.SIGINT)
                except ProcessLookupError:
                    pass

    def cancel(self):
        with self.lock:
            self.live = False
        self.timer.cancel()
