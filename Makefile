# SPDX-License-Identifier: GPL-2.0
# The one interface of the kit: "make help".

# $(call refuse,WHAT,BECAUSE,TRY): the kit's error form, and no make.
refuse = $(shell printf 'mmuml: error: %s\n  because: %s\n  try:     %s\n' '$(1)' '$(2)' '$(3)' >&2)$(error nothing was done)
ifneq ($(words $(CURDIR))$(findstring :,$(CURDIR)),1)
$(call refuse,kbuild cannot work in $(CURDIR),the path has a blank or a colon,mv the checkout to another directory)
endif
# Flags that would hide a failure, or take what was not built for built: the stages are scripts, of which make knows nothing.
flags	:= $(filter-out --%,$(firstword -$(MAKEFLAGS)))
ifneq ($(strip $(foreach f,i n q t,$(findstring $(f),$(flags)))),)
$(call refuse,make $(flags) has no answer,with it a failure is no failure or nothing is run,make without it)
endif

# ---- what can be set, and its default ----
# tests to run: globs over area.file.case, separated by commas; @changed: those that reach what is edited (make map)
T	?=
# changes to build in: names below mm-changes/, separated by commas; "none"; empty: mm-changes/series
S	?=
PROFILE	?= fast
# a kernel tree of your own; empty: a supported kernel
LINUX	?=
# which of them: 7.3, ... ("make list"); empty: this build's first
KERNEL	?=
# time limits times SCALE; seed of the random tests; repetitions; memory of the guest in MB
SCALE	?= $(call profile_says,SCALE,1)
SEED	?= 1
REPEAT	?= 1
MEM	?= $(call profile_says,MEM,512)
ISOLATE	?=
# kernels at a time for a long list
JOBS	?=
# a file that gets the name of the run's directory
NOTE	?=
# do not give up when everything fails
KEEP_GOING ?=
# make bench: also from nothing; make check: every case
FULL	?=
# make compare: two stacks, A and B, instead of S; patch by patch; JSON=1 for the machine's form
A	?=
EACH	?=
# make compare: README=1 writes the change's table
README	?=
# make new-change, export, import: the change; where its patches go to, come from
NAME	?=
DIR	?=
MBOX	?=
# under git bisect run: what cannot be built is skipped (125)
BISECT	?=
# make shell: a host directory to show at /host
HOSTFS	?=
# further words of the kernel command line
APPEND	?=
# make gdb: breakpoints (make compare: the second stack); commands instead of a terminal; join a running guest; objects to build with -Og
B	?=
ATTACH	?=
# make interleave: the script to play
SCRIPT	?=
OG	?=
# make run: go to gdb where a test fails
GDB_ON_FAIL ?=
# make coverage: FILE:LINE or TEST to ask the last run about; a run to compare with; HTML=1; a file for the JSON report;
# with LINUX= the commit below the change
WHO	?=
BASE	?=
HTML	?=
JSON	?=
SINCE	?=
# make profile: functions to show line by line, globs separated by |
F	?=
V	?=
# YES=1: packages that are missing are installed without asking on a terminal
YES	?=

# a word that others use too: only of this command line is it ours
ifeq ($(origin KERNEL),environment)
KERNEL	:=
endif
# the others are said, for who did not know that he has them
ifeq ($(MMUML_MAKE),)
$(foreach v,$(filter-out BISECT,$(shell sed -n 's/^\([A-Z_]*\)[[:space:]]*?=.*/\1/p' Makefile)),$(if $(filter environment,$(origin $(v))),$(if $($(v)),$(shell \
	printf '  NOTE    %s=%s is of the environment\n' '$(v)' '$(subst ','\'',$($(v)))' >&2))))
endif

# $(call profile_says,SCALE,1): see scripts/lib/kit.sh
profile_says = $(shell . scripts/lib/kit.sh && profile_says '$(PROFILE)' $(1) $(2))

BUILD	:= build
STACK	:= $(shell S='$(S)' LINUX='$(LINUX)' KERNEL='$(KERNEL)' scripts/tree.sh --name 2>/dev/null)
TREE	:= $(BUILD)/trees/$(STACK)
OUT	= $(TREE)/build-$(PROFILE)
# the kernel's own tests are in a guest of their own, beside the kit's
comma	:= ,
UPSTREAM := $(if $(filter selftests,$(MAKECMDGOALS))$(filter mm.%,$(subst $(comma), ,$(T))),all,$(if $(T),,$(if $(filter run soak,$(MAKECMDGOALS)),quick)))
GUEST	:= $(TREE)/build-guest$(if $(UPSTREAM),/upstream)
RUNNER	:= $(BUILD)/host/mmuml-run
START	:= $(shell date +%s.%N)
export S LINUX KERNEL PROFILE V A B ATTACH OG WHO BASE HTML JSON SINCE T EACH SEED REPEAT APPEND NAME DIR MBOX README YES
export PROFILE_ASKED := $(if $(filter file,$(origin PROFILE)),,$(PROFILE))
export PATH := $(PATH):/usr/sbin:/sbin
MAKEFLAGS += --no-print-directory
# what a make of the kit's has exported is not the user's
export MMUML_MAKE := 1
export MMUML_CODES := $(shell sed -n 's/^\#define \(EX_[A-Z_]*\)[[:space:]]*\([0-9]*\).*/\1=\2/p' scripts/lib/protocol.h)
# of a git hook that runs make: the user's repository, which no program here may take for its own
unexport $(filter-out GIT_EXEC_PATH GIT_TRACE%,$(filter GIT_%,$(.VARIABLES)))

# Who runs tests wants no debug information until one fails; these do at once.
ifneq ($(GDB_ON_FAIL)$(filter build kernel gdb rmap-graph interleave coverage map memcheck profile shell,$(MAKECMDGOALS)),)
export DEBUG_INFO := 1
endif

# for who wants to know which status a stage had, such as scripts/bisect.sh
ifneq ($(MMUML_STATUS),)
SHELL	:= scripts/lib/status.sh
endif

# VAR='value' of those of these variables that were given
given	= $(strip $(foreach v,$(1),$(if $(filter command% environment%,$(origin $(v))),$(if $($(v)),$(v)='$($(v))'))))

RUN	= $(RUNNER) --kernel $(OUT)/vmlinux --guest $(GUEST) --tree $(TREE) --profile $(PROFILE) \
	  --series '$(S)' --linux '$(LINUX)' --mem $(MEM) --scale $(SCALE) --append '$(APPEND)' \
	  --given "$(call given,KERNEL MEM SCALE APPEND)" $(if $(NOTE),--note '$(NOTE)')
GDBSH	= scripts/gdb.sh $(OUT) $(shell echo $$PPID)
RUNTESTS = $(RUN) --tests '$(T)' --seed $(SEED) --repeat $(REPEAT) --started $(START) \
	  $(if $(V),--verbose) $(if $(ISOLATE),--isolate) $(if $(JOBS),--jobs '$(JOBS)') $(if $(KEEP_GOING),--keep-going)

# What an edit concerns, if T= says @changed; make run begins with that where all tests are asked for.
CONCERNED = $(if $(findstring @changed,$(T)),scripts/changed.sh only $(TREE))
CHANGED	= $(or $(CONCERNED),$(if $(T)$(ISOLATE),,scripts/changed.sh first $(TREE)))

# as many at a time as there are CPUs, unless -j says otherwise
PARALLEL = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# what "make run" was told, for another make
RUNVARS = $(call given,T S PROFILE LINUX KERNEL SCALE SEED REPEAT MEM ISOLATE JOBS KEEP_GOING APPEND)

.PHONY: help doctor deps fetch tree config build run selftests watch coverage gdb rmap-graph interleave shell list check soak bench
.PHONY: map memcheck profile compare new-change export import clean distclean host guest kernel
help:
	@scripts/help.sh

doctor:
	@scripts/doctor.sh

deps:
	@scripts/doctor.sh --install

fetch: deps
	@scripts/fetch.sh

tree: fetch
	@scripts/tree.sh

config: tree
	@scripts/build/start.sh $(TREE) $(PROFILE)
	@scripts/config.sh $(TREE) $(PROFILE)

kernel: config host
	+@scripts/build.sh $(TREE) $(PROFILE)

host: deps
	@$(MAKE) $(PARALLEL) -s -C scripts OUT=$(abspath $(BUILD))/host CC=gcc

# One at a time: two runs of one checkout would make the same files.
guest: config
	+@flock $(BUILD)/$(STACK).build-guest.lock $(MAKE) $(PARALLEL) -s -C tests TREE=$(abspath $(TREE)) CC=gcc
	$(if $(UPSTREAM),@cd tests && flock ../$(BUILD)/$(STACK).build-guest.lock upstream/build.sh $(abspath $(TREE)) $(abspath $(TREE)/build-guest) $(UPSTREAM))

build: kernel host guest

run: $(if $(BISECT),,build)
	$(if $(BISECT),+@scripts/bisect.sh $(RUNVARS),@$(if $(GDB_ON_FAIL),$(GDBSH) $(RUNTESTS) --on-fail,$(CHANGED) $(RUNTESTS)) --what run)

# The tested tree's own tests of mm, held against tests/upstream/KNOWN.
selftests: override T := $(or $(T),mm.*)
selftests: build
	@$(RUNTESTS) --what selftests

# On each save: build, the tests that it concerns, the verdict; then the rest, until the next save.
watch: config host
	+@scripts/watch.sh $(TREE) $(GUEST) $(RUNTESTS)

# The reverse map of the test's processes as a picture, when the first of them exits (or at B=).
rmap-graph: build
	@B='$(or $(B),@end)' CMD=mm-rmap-graph $(GDBSH) $(RUNTESTS) --tool gdb --what graph

# SCRIPT= names the test that it plays in; two CPUs.
interleave: build
	@scripts/interleave.sh '$(SCRIPT)' $(GDBSH) $(RUN) --cpus 2 --tool gdb --what interleave

gdb: $(if $(ATTACH),host,build)
	@$(if $(ATTACH),,$(CONCERNED)) $(GDBSH) $(if $(ATTACH),$(RUNNER) --attach,$(RUNTESTS) --tool gdb --what gdb)

coverage: override PROFILE := coverage
coverage: $(if $(WHO),host,build)
	@MAP= STARTED=$(START) $(CONCERNED) scripts/coverage/coverage.sh $(TREE) $(RUNTESTS)

# Which tests reach which line, for T=@changed: all tests under make coverage, without its report.
map: override T :=
map: override PROFILE := coverage
map: build
	@MAP=1 scripts/coverage/coverage.sh $(TREE) $(RUNTESTS)

# Every report of valgrind's memcheck fails the test that ran.
memcheck: override PROFILE := valgrind
memcheck: build
	@$(CONCERNED) $(RUNTESTS) --tool memcheck --what memcheck

# Instructions of each test by function; F= functions to show line by line.
profile: override PROFILE := valgrind
profile: build
	@F='$(F)' $(CONCERNED) $(RUNTESTS) --tool cachegrind --what profile

shell: build
	@$(RUN) --shell --hostfs '$(HOSTFS)'

compare: fetch host
	+@STARTED=$(START) scripts/compare.sh

new-change: fetch
	@scripts/change.sh new

export: fetch
	@scripts/change.sh export

import: fetch
	@scripts/change.sh import

list: host guest
	@scripts/list.sh $(GUEST)

check:
	@FULL='$(FULL)' tests/kit/check.sh

soak: build
	@$(CONCERNED) $(RUNTESTS) --what soak

bench:
	@FULL=$(FULL) scripts/bench.sh

clean:
	rm -rf $(wildcard $(BUILD)/trees/*/build-* $(BUILD)/host)

distclean:
	rm -rf $(BUILD) out
