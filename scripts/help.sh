#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The text of "make help", with the values in force. usage: scripts/help.sh
set -eu
cat <<EOF
mmuml: build a Linux mm change into a User-Mode Linux kernel, run it as a process, test it.

  make run T='mremap.*'          build what changed, boot, run these tests (all without T=)
  make run S=none                without the default changes; S=a,b with others
  make run LINUX=~/src/linux     your own tree, uncommitted edits included; never written to
  make run PROFILE=debug         with KASAN, lockdep, DEBUG_VM, kmemleak, UBSAN
  make shell HOSTFS=dir          a shell in the guest, dir at /host
  make list                      tests, profiles, changes, each with its purpose
  make check                     the kit's own tests, and all in-guest tests under fast and debug
  make soak REPEAT=200           the suite 200 times
  make bench                     where each second goes
  make doctor                    what this machine lacks        make deps    install it
  make fetch tree config build   the stages of run, one by one
  make clean                     remove builds                  make distclean   everything made here

Variables (value now):
  T=${T:-(all)}   S=${S:-(mm-changes/series)}   PROFILE=${PROFILE:-fast}   LINUX=${LINUX:-(pinned source)}
  SCALE=x   time limits times x        REPEAT=n  run n times         SEED=n  seed of random tests
  ISOLATE=1 one kernel per test        MEM=mb    memory of the guest V=1     commands and all output
  APPEND='words' for the kernel command line; CC=, LLVM=1, KCFLAGS=, -j as for the kernel

Edit build/trees/default/ and run again: only what changed is rebuilt. Results: out/latest/.
Exit status of the stages ("make" shows it as Error N): 1 test failed  2 usage  3 host not ready
  4 only skips  5 patch does not apply  6 option lost  7 build failed  8 kernel report  124 timeout
EOF
