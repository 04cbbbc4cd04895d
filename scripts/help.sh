#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The text of "make help", with the values in force. usage: scripts/help.sh
set -eu
cat <<EOF
mmuml: build a Linux mm change into a User-Mode Linux kernel, run it as a process, test it.

  make run T='mremap.*'          build what changed, boot, run these tests (all without T=);
                                 T=@changed: those that reach what is edited (make map once)
  make watch                     on each save: those, the verdict, then the rest; ^C ends it
  make run LINUX=~/src/linux     your own tree, edits included; S=none, S=a,b: without the default changes, others
  make run KERNEL=6.12           another supported kernel ("make list")
  make run PROFILE=debug         with KASAN, lockdep, DEBUG_VM, kmemleak, UBSAN
  make coverage T='mremap.*'     which changed lines ran; HTML=1, JSON=file, BASE=out/runs/..., and of
                                 the last run WHO=mm/rmap.c:1024: which tests reach it; WHO=test
  make shell HOSTFS=dir          a shell in the guest, dir at /host
  make gdb T=test B=function     to a breakpoint in mm when that test runs it; without B=: where it fails
       CMD='bt 5' CMD=mm-vmas    commands instead of a terminal; OG=mm/rmap.o built with -Og; ATTACH=1
  make interleave SCRIPT=name    two guest CPUs in a chosen order     make rmap-graph T=test   a picture
  make memcheck T='rmap.*'       valgrind on the whole kernel: uninitialised memory, use after free, overruns
  make profile T=test            instructions by function;       F='move_ptes|anon_vma_*' line by line
  make list                      tests, profiles, kernels, changes, each with its purpose
  make compare S=name            a change against its base: tests, counters, size, expect; S=dir,
                                 S=file.mbox, S=git:A..B, A=stack B=stack, EACH=1; all without S=
  make compare A=kernel:6.12 B=kernel:7.3 T=   two kernels: what both can run
  make new-change NAME=x         mm-changes/x from the tree's commits (import: from MBOX=file)
  make export S=x DIR=dir        its patches as mails, checkpatch run over them
  make selftests                 the tree's own tests of mm      make check  the kit's, and all under fast and debug
  make soak REPEAT=200           the suite 200 times            make bench      where each second goes
  make doctor                    what this machine lacks        make deps       install it
  make fetch tree config build   the stages of run, one by one
  make clean                     remove builds                  make distclean   everything made here

Variables (value now):
  T=${T:-(all)}   S=${S:-(mm-changes/series)}   PROFILE=${PROFILE:-fast}   LINUX=${LINUX:-(none)}   KERNEL=${KERNEL:-(the first)}
  SCALE=x   time limits times x        REPEAT=n  run n times         SEED=n  seed of random tests
  ISOLATE=1 one kernel per test        MEM=mb    memory of the guest V=1     commands and all output
  JOBS=n    kernels at a time, for a long list (two per CPU)      KEEP_GOING=1  do not give up
  GDB_ON_FAIL=1 make run: gdb where a test fails
  APPEND='words' for the kernel command line; CC=, LLVM=1, KCFLAGS=, -j as for the kernel

In git bisect: git bisect run scripts/bisect.sh T=...
Edit build/trees/default/ and run again: only what changed is rebuilt. Results: out/latest/.
Exit status of the stages ("make" shows it as Error N): 1 test failed  2 usage  3 host not ready
  4 only skips  5 patch does not apply  6 option lost  7 build failed  8 kernel report  124 timeout
EOF
