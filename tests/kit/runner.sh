# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about the runner, on real guests that misbehave (tests/kit/guest). Sourced by check.sh.
# Long, for the cases of one subject share their helpers, and are looked for in one place.

passes()
{
	expect 0 run_guest --tests kit.plain.pass
	says "mmuml: PASS 1 of 1"
	same "$(status kit.plain.pass)" PASS status
	for f in console.log results.ktap results.json junit.xml manifest.json repro.sh verdict .config; do
		[ -s "$CHECK/run/out/latest/$f" ] || { echo "no $f"; return 1; }
	done
	same "$(cat "$CHECK/run/out/latest/verdict")" "$(tail -n 1 "$CHECK/got")" verdict
	nothing_left
	[ -z "$(ls -d "$CHECK"/run/out/latest/boot* 2>/dev/null)" ]
}

fails_with_both_values()
{
	expect 1 run_guest --tests kit.plain.fail
	says "mmuml: FAIL 1 of 1" "Expected 40 + 2 (42) == 43 (43)" "rerun: make run T=kit.plain.fail"
	in_file "not ok 1 kit.plain.fail" "$CHECK/run/out/latest/results.ktap"
	in_file "<failure" "$CHECK/run/out/latest/junit.xml"
}

only_skips()
{
	expect 4 run_guest --tests kit.plain.skip
	says "mmuml: SKIP 1 of 1" "needs NUMA"
	in_file "# SKIP needs NUMA" "$CHECK/run/out/latest/results.ktap"
	expect 0 run_guest --tests kit.plain.skip,kit.plain.pass
	says "1 skipped"
}

dies_of_a_signal()
{
	expect 1 run_guest --tests kit.plain.killed
	says "signal 9"
}

seed_reaches_the_test()
{
	expect 0 run_guest --tests kit.plain.seed --seed 7
	expect 1 run_guest --tests kit.plain.seed --seed 8
	same "$(jq -r .seed "$CHECK/run/out/latest/manifest.json")" 8 seed
}

panics()
{
	expect 8 run_guest --tests kit.crash.panic
	says "mmuml: CRASH 1 of 1 (kit.crash.panic: panic: sysrq triggered crash: drivers/tty/sysrq.c:"
	same "$(status kit.crash.panic)" CRASH status
}

oopses()
{
	expect 8 run_guest --tests kit.crash.oops
	says "(kit.crash.oops: oops: " "drivers/misc/lkdtm/bugs.c:"
}

bugs()
{
	expect 8 run_guest --tests kit.crash.bug
	says "drivers/misc/lkdtm/bugs.c:"
}

warns()
{
	expect 8 run_guest --tests kit.crash.warn
	says "WARN: drivers/misc/lkdtm/bugs.c:"
	same "$(status kit.crash.warn)" CRASH status
}

seventh_of_twenty()
{
	expect 8 run_guest --tests 'kit.plain.of_twenty*'
	says "CRASH 1 of 20 (kit.plain.of_twenty-n07: panic"
	same "$(jq '[.tests[] | select(.status == "PASS")] | length' "$CHECK/run/out/latest/results.json")" 19 passes
	same "$(jq '[.tests[] | select(.boot == 1)] | length' "$CHECK/run/out/latest/results.json")" 7 "tests in boot 1"
	same "$(jq '[.tests[] | select(.boot == 2)] | length' "$CHECK/run/out/latest/results.json")" 13 "tests in boot 2"
	jq -r '.tests[6].trace' "$CHECK/run/out/latest/results.json" > "$CHECK/trace"
	in_file "drivers/tty/sysrq.c:" "$CHECK/trace"
}

isolated()
{
	expect 0 run_guest --tests 'kit.plain.of_twenty-n0[123]' --isolate
	same "$(jq .boots "$CHECK/run/out/latest/results.json")" 3 boots
}

times_out()
{
	for test in kit.hang.forever kit.hang.loop; do
		expect 124 run_guest --tests $test,kit.plain.pass --limit 1
		says "mmuml: TIMEOUT 1 of 2 ($test: timeout"
		same "$(status kit.plain.pass)" PASS "the test after it"
		# The stacks of the guest's tasks, decoded.
		jq -r --arg n $test '.tests[] | select(.name == $n) | .trace' "$CHECK/run/out/latest/results.json" > "$CHECK/trace"
		in_file "task:" "$CHECK/trace"
		in_file "kernel/sched/core.c:" "$CHECK/trace"
	done
}

kernel_hangs()
{
	expect 124 run_guest --tests kit.crash.hard_lockup,kit.plain.pass --limit 1
	says "TIMEOUT 1 of 2 (kit.crash.hard_lockup: timeout" "drivers/misc/lkdtm/bugs.c:"
	same "$(status kit.plain.pass)" PASS "the test after it"
	nothing_left
}

task_cannot_be_killed()
{
	expect 124 run_guest --tests kit.crash.unkillable,kit.plain.pass --limit 1
	same "$(status kit.crash.unkillable)" TIMEOUT status
	same "$(status kit.plain.pass)" PASS "the test after it"
}

takes_all_memory()
{
	# Swap is slow on a loaded host.
	export KIT_SCALE=4
	expect 1 run_guest --tests kit.hang.memory,kit.plain.pass
	says "signal 9"
	in_file "Out of memory: Killed process" "$CHECK/run/out/latest/console.log"
	same "$(status kit.plain.pass)" PASS "the test after it"
}

leaves_a_process()
{
	expect 0 run_guest --tests kit.hang.stray --verbose
	says "left 1 process(es) behind"
}

# In one kernel: what one left is not charged to the next.
leaves_something()
{
	expect 1 run_guest --tests 'kit.leave.*'
	says "FAIL 5 of 6"
	same "$(status kit.leave.tidy)" PASS "one that leaves nothing"
	why="$CHECK/why"
	jq -r '.tests[] | .name + " " + (.reason // "")' "$CHECK/run/out/latest/results.json" > "$why"
	in_file "kit.leave.file left behind: Shmem 16 kB, was 0" "$why"
	in_file "kit.leave.segment left behind: Committed_AS " "$why"
	grep -q "kit.leave.swapped left behind: .*SwapFree [0-9]* kB, was 524284, Committed_AS " "$why"
	in_file "kit.leave.ksmd left behind: ksm/run 1, was 0" "$why"
	in_file "kit.leave.poison left behind: HardwareCorrupted 4 kB, was 0" "$why"
}

lies()
{
	expect 1 run_guest --tests kit.lie.early_exit
	says "FAIL 1 of 1 (kit.lie.early_exit: the kernel powered off"
	expect 1 run_guest --tests kit.lie.foreign_result
	says "KTAP: result 1 'mremap.move.arrives-page' when kit.lie.foreign_result was running"
	expect 1 run_guest --tests kit.lie.double_result
	says "KTAP: result 1 'kit.lie.double_result' when no test was running"
	expect 1 run_guest --tests kit.lie.garbage
	says "KTAP: a line that is none"
	expect 1 run_guest --tests kit.lie.truncated
	says "FAIL 1 of 1 (kit.lie.truncated"
	expect 1 run_guest --tests kit.lie.early_done
	says "KTAP: done before the plan was"
}

no_results_at_all()
{
	expect 8 run_guest --tests kit.plain.pass --append 'rdinit=/bin/nothing init=/bin/nothing'
	says "mmuml: CRASH 1 of 1 (boot: panic: "
	# An init that ends at once, and one that powers off without a word.
	expect 8 run_guest --tests kit.plain.pass --append 'rdinit=/bin/busybox -- true'
	says "(boot: panic: Attempted to kill init!"
	expect 1 run_guest --tests kit.plain.pass --append 'rdinit=/bin/busybox -- poweroff -f'
	says "(no results: the kernel ended with status 0 before the first test)"
}

boot_hangs()
{
	expect 124 run_guest --tests kit.plain.pass --append 'rdinit=/bin/busybox -- tail -f /init' --boot-limit 1
	says "boot timeout"
}

unknown_names()
{
	expect 2 run_guest --tests kit.plain.pas
	says "no test 'kit.plain.pas'" "make run T=kit.plain.pass"
	expect 2 run_guest --tests 'nothing.*'
	says "no test 'nothing.*'"
	expect 2 run_guest --no-such-option
	says "usage:"
	expect 2 run_guest --scale much
	says "--scale 'much' is not a number"
	expect 2 "$TOP/build/host-asan/mmuml-run" --tests x
	says "--kernel and --guest are needed"
	# A guest of which a part is gone.
	mkdir -p "$CHECK/half"
	cp "$TOP/$GUEST/tests.list" "$TOP/$GUEST/base.cpio" "$CHECK/half/"
	expect 3 run_guest --guest "$CHECK/half" --tests kit.plain.pass
	says "a part of the guest cannot be read: $CHECK/half/" "because: No such file or directory" "make guest"
	expect 2 vg_run memcheck --tests kit.plain.pass --probe "$CHECK/half/tests.list"
	says "--probe and --memcheck do not go together"
}

repeats()
{
	expect 0 run_guest --tests kit.plain.pass --repeat 3
	says "ROUND   3 of 3"
	same "$(jq .boots "$CHECK/run/out/latest/results.json")" 3 boots
}

repro_repeats()
{
	expect 1 run_guest --tests kit.plain.fail
	first=$(readlink -f "$CHECK/run/out/latest")
	mkdir -p "$CHECK/run/build"
	ln -sfn "$TOP/build/host-asan" "$CHECK/run/build/host"
	cd /
	expect 1 "$first/repro.sh"
	says "FAIL 1 of 1 (kit.plain.fail"
	[ "$(readlink -f "$CHECK/run/out/latest")" != "$first" ]
}

# What the make line of repro.sh needs to come to the same run, and the state of a tree whose path a shell would stumble over.
repro_says_all()
{
	tree="$CHECK/it's a tree"
	git init -q "$tree"
	echo one > "$tree/file"
	git -C "$tree" add file
	git -C "$tree" -c user.name=u -c user.email=u@localhost commit -qm base
	expect 1 run_guest --tests kit.plain.fail --tree "$tree" --series 'a,b' --repeat 2 --isolate --append 'quiet x=1' \
		--given "APPEND='quiet x=1' MEM='600'"
	run=$CHECK/run/out/latest
	in_file "exec make run T=kit.plain.fail S=a,b APPEND='quiet x=1' MEM='600' REPEAT=2 ISOLATE=1" "$run/repro.sh"
	in_file "--tool none --repeat 2 --isolate" "$run/repro.sh"
	same "$(jq -r '.tree | "\(.commit) \(.uncommitted_edits)"' "$run/manifest.json")" "$(git -C "$tree" rev-parse HEAD) false" "the tree"
	echo two > "$tree/file"
	# Under any configuration that the user may have.
	cd "$CHECK/run" || return
	expect 0 env GIT_DIR=/nonexistent GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.bare GIT_CONFIG_VALUE_0=true \
		"$TOP/build/host-asan/mmuml-run" --kernel "$TOP/$OUT/vmlinux" --guest "$TOP/$GUEST" --tests kit.plain.pass --tree "$tree"
	same "$(jq -r '.tree | "\(.commit) \(.uncommitted_edits)"' "$run/manifest.json")" "$(git -C "$tree" rev-parse HEAD) true" "an edit"
}

# start_hanging: a run that hangs in its test, in the background; PID is the runner's.
start_hanging()
{
	mkdir -p "$CHECK/run"
	(run_guest --tests kit.hang.forever --limit 1000 > "$CHECK/hanging" 2>&1 || echo "exit $?" >> "$CHECK/hanging") &
	for _ in $(seq 100); do
		sleep 0.1
		# Another case may have one of its own.
		PID=
		for p in $(pgrep -f "host-asan/mmuml-run.*kit.hang.forever"); do
			[ "$(readlink "/proc/$p/cwd")" != "$CHECK/run" ] || { PID=$p; break; }
		done
		[ -n "$PID" ] || continue
		# The kernel and the stubs of its processes are there: init and the test at least.
		nothing_left > /dev/null || { sleep 1; return 0; }
	done
	return 1
}

killed_hard()
{
	rm -rf "$CHECK/run/out"
	find /dev/shm /tmp -maxdepth 1 ! -name 'cc*.*' | sort > "$CHECK/before"
	start_hanging
	kill -KILL "$PID"
	wait || true
	sleep 0.5
	nothing_left
	find /dev/shm /tmp -maxdepth 1 ! -name 'cc*.*' | sort > "$CHECK/after"
	diff "$CHECK/before" "$CHECK/after"
	# The next run is not disturbed by what the killed one left in out/.
	expect 0 run_guest --tests kit.plain.pass
}

interrupted()
{
	rm -rf "$CHECK/run/out"
	start_hanging
	kill -INT "$PID"
	wait || true
	in_file "exit 130" "$CHECK/hanging"
	in_file "mmuml: INTERRUPTED" "$CHECK/hanging"
	nothing_left
	[ -z "$(ls -d "$CHECK"/run/out/latest/boot* 2>/dev/null)" ]
	[ -s "$CHECK/run/out/latest/results.json" ]
}

# guest_shell FILE [ARG...]: a shell in the guest with its input from FILE.
guest_shell()
{
	cd "$CHECK/run" || return
	input=$1
	shift
	timeout -k 2 60 "$TOP/build/host-asan/mmuml-run" --kernel "$TOP/$OUT/vmlinux" --guest "$TOP/$GUEST" --shell \
		"$@" < "$input" > "$CHECK/got" 2>&1
}

jail_holds()
{
	# The guest sees its own plan and nothing else of the host: by paths, by what is given to mount, by a link in there.
	rm -rf "$CHECK/run/jail"
	mkdir -p "$CHECK/run/jail/sub"
	echo seen > "$CHECK/run/jail/here"
	echo seen > "$CHECK/run/jail/sub/deep"
	echo seen > "$CHECK/run/outside"
	ln -s "$CHECK/run" "$CHECK/run/jail/link"
	cat > "$CHECK/commands" <<-'END'
	ls /host; ls /host/../../../etc/passwd /host/etc 2>&1 | head -n 3
	mkdir /tmp/m; try() { mount -t hostfs -o $1 none /tmp/m && echo $2-$(ls /tmp/m | tr '\n' ' ') && umount /tmp/m; }
	try .. one; try ../.. two; try sub/../../.. three; try link four; try link/jail five
	mount -t hostfs -o sub none /tmp/m; grep /tmp/m /proc/mounts; mv /host/sub /host/was; ln -s .. /host/sub
	echo six-$(ls /tmp/m); echo end-$((6*7))
	END
	guest_shell "$CHECK/commands" --hostfs jail
	says here end-42 "No such file" "Power down" "one-here link sub" "two-here link sub" "three-here link sub" six-deep \
		"none /tmp/m hostfs rw,relatime,sub "
	says_not root: outside
}

shell_has_busybox()
{
	rm -rf "$CHECK/run/out"
	run_guest --tests kit.plain.pass
	before=$(readlink "$CHECK/run/out/latest")
	# shellcheck disable=SC2016 # for the guest's shell
	echo 'echo n-$(ls /bin | wc -l); seq 3 | tac | head -n 1' > "$CHECK/commands"
	guest_shell "$CHECK/commands"
	[ "$(sed -n 's/^n-//p' "$CHECK/got" | tr -d '\r')" -gt 200 ]
	[ "$(tr -d '\r' < "$CHECK/got" | grep -c '^3$')" = 1 ]
	# The last run is still the last run.
	same "$(readlink "$CHECK/run/out/latest")" "$before" out/latest
	[ -z "$(ls -d "$CHECK"/run/out/runs/*-shell 2>/dev/null)" ]
}

shell_is_terminated()
{
	cd "$CHECK/run" || return
	mkfifo "$CHECK/never" 2>/dev/null || true
	sleep 60 > "$CHECK/never" &
	writer=$!
	ended=0
	timeout 3 "$TOP/build/host-asan/mmuml-run" --kernel "$TOP/$OUT/vmlinux" --guest "$TOP/$GUEST" --shell \
		< "$CHECK/never" > "$CHECK/got" 2>&1 || ended=$?
	kill "$writer"
	same "$ended" 124 "exit of timeout"
	nothing_left
	[ -z "$(ls -d "$CHECK"/run/out/runs/*-shell 2>/dev/null)" ]
}

# Four kernels at a time, one of which dies and one of which has to be killed, watched by ThreadSanitizer: one loop
# does it all today, and a thread that comes has to keep to this. Without random addresses: where there are many bits of them
# its shadow finds no place.
threads_agree()
{
	cd "$CHECK/run" || return
	expect 8 setarch -R "$TOP/build/host-tsan/mmuml-run" --kernel "$TOP/$OUT/vmlinux" --guest "$TOP/$GUEST" --jobs 4 \
		--tests 'mremap.shrink.*,mremap.move.*,kit.plain.*,kit.crash.panic,kit.crash.warn,kit.hang.forever' --limit 2
	says_not ThreadSanitizer
	[ "$(jq '.tests | length' out/latest/results.json)" -ge 100 ]
	[ "$(jq .boots out/latest/results.json)" -ge 5 ]
	nothing_left
}

runner_cases()
{
	t runner.pass passes
	t runner.fail fails_with_both_values
	t runner.skip only_skips
	t runner.signal dies_of_a_signal
	t runner.seed seed_reaches_the_test
	t runner.panic panics
	t runner.oops oopses
	t runner.bug bugs
	t runner.warn warns
	t runner.seventh_of_twenty seventh_of_twenty
	t runner.isolate isolated
	t runner.timeout times_out
	t runner.kernel_hang kernel_hangs
	t runner.unkillable task_cannot_be_killed
	t runner.memory takes_all_memory
	t runner.stray leaves_a_process
	t runner.left_behind leaves_something
	t runner.lies lies
	t runner.no_init no_results_at_all
	t runner.boot_hang boot_hangs
	t runner.usage unknown_names
	t runner.repeat repeats
	t runner.repro repro_repeats
	t runner.repro_says_all repro_says_all
	t -alone runner.sigkill killed_hard
	t runner.interrupt interrupted
	t runner.jail jail_holds
	t runner.shell shell_has_busybox
	t runner.threads threads_agree
	t runner.shell_terminated shell_is_terminated
}
