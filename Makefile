# SPDX-License-Identifier: GPL-2.0
# The one interface of the kit: "make help".

# ---- what can be set, and its default ----
# tests to run: globs over area.file.case, separated by commas
T	?=
# changes to build in: names below mm-changes/, separated by commas; "none"; empty: mm-changes/series
S	?=
PROFILE	?= fast
# a kernel tree of your own; empty: the pinned source
LINUX	?=
# time limits times SCALE; seed of the random tests; repetitions; memory of the guest in MB
SCALE	?= $(if $(filter debug,$(PROFILE)),4,1)
SEED	?= 1
REPEAT	?= 1
MEM	?= $(if $(filter debug,$(PROFILE)),640,512)
ISOLATE	?=
# make bench: also from nothing
FULL	?=
# make shell: a host directory to show at /host
HOSTFS	?=
# further words of the kernel command line
APPEND	?=
V	?=

BUILD	:= build
NAME	:= $(shell S='$(S)' LINUX='$(LINUX)' scripts/tree.sh --name)
TREE	:= $(BUILD)/trees/$(NAME)
OUT	:= $(TREE)/build-$(PROFILE)
GUEST	:= $(TREE)/build-guest
RUNNER	:= $(BUILD)/host/mmuml-run
START	:= $(shell date +%s.%N)
export S LINUX PROFILE V
export PATH := $(PATH):/usr/sbin:/sbin
MAKEFLAGS += --no-print-directory

RUN	= $(RUNNER) --kernel $(OUT)/vmlinux --guest $(GUEST) --tree $(TREE) --profile $(PROFILE) \
	  --series '$(S)' --linux '$(LINUX)' --mem $(MEM) --scale $(SCALE) --append '$(APPEND)'
RUNTESTS = $(RUN) --tests '$(T)' --seed $(SEED) --repeat $(REPEAT) --started $(START) \
	  $(if $(V),--verbose) $(if $(ISOLATE),--isolate)

.PHONY: help doctor deps fetch tree config build run shell list check soak bench clean distclean host guest kernel
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
	@scripts/config.sh $(TREE) $(PROFILE)

kernel: config host
	+@scripts/build.sh $(TREE) $(PROFILE)

host: deps
	@$(MAKE) -s -C scripts/runner OUT=$(abspath $(BUILD))/host CC=gcc

guest: tree
	@$(MAKE) -s -C tests TREE=$(abspath $(TREE)) CC=gcc

build: kernel host guest

run: build
	@$(RUNTESTS) --what run

shell: build
	@$(RUN) --shell --hostfs '$(HOSTFS)'

list: host guest
	@scripts/list.sh $(GUEST)

check:
	@tests/kit/check.sh

soak: build
	@$(RUNTESTS) --what soak

bench:
	@FULL=$(FULL) scripts/bench.sh

clean:
	rm -rf $(wildcard $(BUILD)/trees/*/build-* $(BUILD)/host)

distclean:
	rm -rf $(BUILD) out
