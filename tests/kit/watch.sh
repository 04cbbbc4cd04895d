# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about make watch: what counts as a save, how a round is taken back, what it says. Sourced by check.sh.

# until_there COMMAND...: wait for it to be true; a minute or two is no verdict on the machine.
until_there()
{
	for _ in $(seq 1200); do
		! "$@" || return 0
		sleep 0.1
	done
	echo "never came: $*"
	tail -n 30 "$CHECK/out"
	return 1
}

# heard TEXT [TIMES]: that so many lines of what the watch says have it.
heard()
{
	[ "$(grep -cF -- "$1" "$CHECK/out")" -ge "${2:-1}" ]
}

# rounds N: that so many have begun.
rounds()
{
	[ "$(wc -l < "$CHECK/rounds")" -ge "$1" ]
}

gone()
{
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# small_watch: mmuml-watch on a tree of a few files in $CHECK/u, with a command that says in $CHECK/rounds what it was started for;
# PID is its process.
small_watch()
{
	mkdir -p "$CHECK/state"
	: > "$CHECK/rounds"
	build/host/mmuml-watch --state "$CHECK/state" --tree "kernel=$CHECK/u" --inputs "$CHECK/inputs" --lock "$CHECK/lock" \
		--sources "tests=$CHECK/t" --file "patches=$CHECK/mails/x.mbox" --dir "config=$CHECK/config" -- sh "$CHECK/round" > "$CHECK/out" 2>&1 < /dev/null &
	PID=$!
	until_there rounds 1
}

small_files()
{
	mkdir -p "$CHECK/u/mm" "$CHECK/u/Documentation" "$CHECK/u/drivers/far" "$CHECK/t/area" "$CHECK/mails" "$CHECK/config"
	for f in u/mm/a.c u/mm/b.c u/Documentation/a.rst u/drivers/far/c.c t/area/a.c mails/x.mbox mails/y.mbox; do
		echo one > "$CHECK/$f"
	done
	printf '1 1 1 ../%s\n' mm/a.c mm/x/../b.c mm mm/x/.. > "$CHECK/inputs"
	cat > "$CHECK/round" <<-END
	echo "\$\$ \$(sort -u "$CHECK/state/saved" | paste -sd,)" >> "$CHECK/rounds"
	: > "$CHECK/state/saved"
	exec sleep 1000
	END
	: > "$CHECK/state.saved"
	mkdir -p "$CHECK/state"
	: > "$CHECK/state/saved"
}

# next_round WHAT: a round more begins, for that.
next_round()
{
	n=$((n + 1))
	until_there rounds $n || return
	same "$(sed -n "$n{s/^[0-9]* //;p}" "$CHECK/rounds")" "$1" "round $n"
}

# Several files are one save; what editors leave, the same content and what is in no kernel are none.
what_is_a_save()
{
	small_files
	small_watch
	n=0
	next_round ""
	for f in a b; do
		echo two > "$CHECK/u/mm/.$f.new"
		mv "$CHECK/u/mm/.$f.new" "$CHECK/u/mm/$f.c"
	done
	next_round "kernel mm/a.c,kernel mm/b.c"
	# None of these; the round that comes is for what follows.
	echo two > "$CHECK/u/mm/a.c"
	touch "$CHECK/u/mm/b.c"
	for f in mm/.a.c.swp mm/a.c~ mm/4913 mm/a.o mm/words Documentation/a.rst; do
		echo three > "$CHECK/u/$f"
	done
	echo three > "$CHECK/mails/y.mbox"
	for f in .x.swp x~ '#x#' x.orig; do
		echo three > "$CHECK/config/$f"
	done
	sleep 0.3
	echo three > "$CHECK/u/drivers/far/c.c"
	until_there heard "drivers/far/c.c  is not in this kernel"
	sed -i s/one/four/ "$CHECK/t/area/a.c"
	next_round "tests area/a.c"
	# A directory that comes with a file in it; a file more where the kernel is made; one that goes.
	mkdir "$CHECK/t/new" && echo word > "$CHECK/t/new/a.c"
	next_round "tests new/a.c"
	echo word > "$CHECK/t/new/b.h"
	next_round "tests new/b.h"
	echo word > "$CHECK/u/mm/c.h"
	next_round "kernel mm/c.h"
	rm "$CHECK/u/mm/b.c"
	next_round "kernel mm/b.c"
	echo five > "$CHECK/mails/x.mbox"
	next_round "patches x.mbox"
	echo five > "$CHECK/config/x"
	next_round "config x"
	# More than inotify keeps.
	kill -STOP $PID
	for _ in $(seq "$(cat /proc/sys/fs/inotify/max_queued_events)"); do
		: > "$CHECK/t/one"
		: > "$CHECK/t/two"
	done
	echo five > "$CHECK/u/mm/a.c"
	kill -CONT $PID
	next_round "kernel mm/a.c"
	# Until git has done its work.
	: > "$CHECK/lock"
	echo six > "$CHECK/u/mm/a.c"
	sleep 0.3
	echo six > "$CHECK/u/mm/b.c"
	rm "$CHECK/lock"
	next_round "kernel mm/a.c,kernel mm/b.c"
	kill $PID
	ended=0
	wait $PID || ended=$?
	same $ended 130 "exit of a watch that was ended"
}

# What the round itself does in the tree is no save, and what a build has read is known from then on.
own_work_is_no_save()
{
	small_files
	mkdir "$CHECK/u/drivers/near"
	echo one > "$CHECK/u/drivers/near/d.c"
	cat > "$CHECK/round" <<-END
	echo "\$\$ \$(sort -u "$CHECK/state/saved" | paste -sd,)" >> "$CHECK/rounds"
	: > "$CHECK/state/saved"
	date +%N > "$CHECK/u/mm/a.c"
	printf t >&7
	echo '1 1 1 ../drivers/near/d.c' >> "$CHECK/inputs"
	printf b >&7
	: > "$CHECK/built"
	exec sleep 1000
	END
	small_watch
	n=0
	next_round ""
	until_there [ -e "$CHECK/built" ]
	sleep 0.3
	echo one > "$CHECK/u/drivers/far/c.c"
	until_there heard "drivers/far/c.c  is not in this kernel"
	echo two > "$CHECK/u/drivers/near/d.c"
	next_round "kernel drivers/near/d.c"
	sleep 0.3
	rounds 2 && ! rounds 3
	kill $PID
}

# A round ends with all that it has started, however often it has to be asked, and whatever ends the watch.
rounds_end()
{
	small_files
	cat > "$CHECK/round" <<-END
	trap '' TERM INT
	sh -c 'trap "" TERM INT; echo \$\$ > "$CHECK/stage"; sleep 0.4'
	trap - TERM INT
	sleep 1000 & echo \$! > "$CHECK/sleeps"
	(setsid sleep 0.1; sleep 1001) &
	echo "\$\$ \$(cat "$CHECK/sleeps") \$!" >> "$CHECK/rounds"
	wait
	END
	small_watch
	first=$(head -n 1 "$CHECK/rounds")
	echo two > "$CHECK/u/mm/a.c"
	until_there rounds 2
	for p in $first; do
		gone "$p" || { echo "of the round that was taken back $p is there"; return 1; }
	done
	# In its first stage, which is not cut short.
	rm "$CHECK/stage"
	echo three > "$CHECK/u/mm/a.c"
	until_there [ -s "$CHECK/stage" ]
	stage=$(cat "$CHECK/stage")
	kill -INT $PID
	ended=0
	wait $PID || ended=$?
	same $ended 130 "exit after SIGINT"
	for p in $stage $(tail -n 1 "$CHECK/rounds"); do
		gone "$p" || { echo "after SIGINT $p is there"; return 1; }
	done
	small_watch
	last=$(tail -n 1 "$CHECK/rounds")
	kill -KILL $PID
	for p in ${last%% *}; do
		until_there gone "$p"
	done
	# Nobody who reads it.
	: > "$CHECK/rounds"
	mkfifo "$CHECK/fifo"
	build/host/mmuml-watch --state "$CHECK/state" --dir "t=$CHECK/t" -- sh "$CHECK/round" > "$CHECK/fifo" &
	PID=$!
	head -n 1 "$CHECK/fifo" > "$CHECK/out"
	heard WATCH
	until_there gone "$PID"
	for p in $(tail -n 1 "$CHECK/rounds"); do
		until_there gone "$p"
	done
}

# limited NAME N: mmuml-watch in a user namespace where that limit of inotify is N.
limited()
{
	# shellcheck disable=SC2016 # for that shell
	timeout 30 unshare -rU sh -euc 'echo "$2" > "/proc/sys/user/$1"; shift 2; exec "$@"' - "$1" "$2" \
		build/host/mmuml-watch --state "$CHECK/state" --tree "kernel=$CHECK/u" --dir "t=$CHECK/t" -- sh "$CHECK/round"
}

says_why_it_cannot()
{
	small_files
	expect 3 limited max_inotify_watches 3
	says "$CHECK/u cannot be watched: 3 of its directories are" "because: user.max_inotify_watches is 3" "try:     sudo sysctl user.max_inotify_watches="
	expect 3 limited max_inotify_instances 0
	says "no inotify to watch with" "because: user.max_inotify_instances is 0" "try:     sudo sysctl user.max_inotify_instances="
	gcc -shared -fPIC -o "$CHECK/far.so" tests/kit/far-statfs.c
	expect 3 timeout 30 env LD_PRELOAD="$CHECK/far.so" build/host/mmuml-watch --state "$CHECK/state" --dir "t=$CHECK/t" -- sh "$CHECK/round"
	says "$CHECK/t cannot be watched" "because: it is on NFS" "try:     make run T=@changed"
	expect 2 timeout 30 build/host/mmuml-watch --state "$CHECK/state" --dir "t=$CHECK/none" -- sh "$CHECK/round"
	says "$CHECK/none cannot be watched" "because: No such file or directory"
	small_watch
	expect 2 timeout 30 build/host/mmuml-watch --state "$CHECK/state" --dir "t=$CHECK/t" -- sh "$CHECK/round"
	says "another make watch has $CHECK/state/lock"
	kill $PID
	[ ! -s "$CHECK/round.ran" ]
}

# start_watch WORDS: make watch in a pipe, in a process group of its own as a terminal has it.
start_watch()
{
	: > "$CHECK/out"
	setsid env --default-signal=INT make watch "$@" > "$CHECK/fifo" 2>&1 < /dev/null &
	PID=$!
}

# piped WORDS: the same, through a pipe into $CHECK/out.
piped()
{
	mkfifo "$CHECK/fifo"
	cat "$CHECK/fifo" > "$CHECK/out" &
	start_watch "$@"
}

# what_is_left: names in /tmp and /dev/shm, changes of the tree, and processes that have to do with this checkout's guests.
what_is_left()
{
	find /tmp /dev/shm -mindepth 1 -maxdepth 1 -newer "$CHECK/began" -user "$(id -u)" -name '*mmuml*'
	pgrep -f "^build/host/mmuml-watch --state ${OUT}/" || true
	pgrep -f "^build/host/mmuml-run .*--what watch" || true
}

end_watch()
{
	pkill -INT -g "$PID"
	wait "$PID" || true
	same "$(what_is_left)" "" "what a watch leaves"
	! grep -nP '[\x00-\x08\x0b-\x1f\x7f]' "$CHECK/out" || { echo "control characters in a pipe"; return 1; }
}

# A save that breaks a test, one that does not compile, one that mends it.
verdict_on_each_save()
{
	tree=${OUT%/*}
	: > "$CHECK/began"
	piped T='mremap.shrink.*'
	code=0
	until_there heard "start  PASS 8  " || code=1
	edit mm/mremap.c shrink_vma 'return -ENOMEM;' || code=1
	until_there heard "  mm/mremap.c  FAIL " || code=1
	cp "$CHECK/out" "$CHECK/got"
	says "  FAIL    mremap.shrink.in_place" "mremap/shrink.c:" "rerun: make run T=mremap.shrink.in_place" || code=1
	echo 'int broken = ;' >> "$tree/mm/mremap.c"
	until_there heard "the last verdict stays: " || code=1
	cp "$CHECK/out" "$CHECK/got"
	says "mm/mremap.c:$(wc -l < "$tree/mm/mremap.c"):14: error: " "  mm/mremap.c  does not build" || code=1
	grep -q 'the last verdict stays: .*  mm/mremap.c  FAIL ' "$CHECK/got" || code=1
	unedited
	until_there heard "  mm/mremap.c  PASS 8  " || code=1
	same "$(grep -c '  PASS 8  ' "$CHECK/out")" 2 "rounds that passed" || code=1
	end_watch || code=1
	git -C "$tree" diff --quiet || code=1
	expect 0 make build || code=1
	return $code
}

# runners: the processes of the runner that a watch of this checkout has started.
runners()
{
	pgrep -f "^build/host/mmuml-run .*--what watch" > "$CHECK/runners"
}

# The rest of the suite is taken back, with its kernels.
rest_is_taken_back()
{
	: > "$CHECK/began"
	piped T=
	code=0
	until_there runners || code=1
	old=$(cat "$CHECK/runners")
	kernels=$(pgrep -P "$(echo "$old" | paste -sd,)" -x vmlinux) || true
	echo '/* words */' >> "${OUT%/*}/mm/mincore.c"
	until_there gone "$(echo "$old" | head -n 1)" || code=1
	for p in $kernels; do
		until_there gone "$p" || code=1
	done
	until_there runners || code=1
	[ "$(cat "$CHECK/runners")" != "$old" ] || code=1
	unedited
	! heard PASS || code=1
	end_watch || code=1
	expect 0 make build || code=1
	return $code
}

# A test of the kit's is a save too: its program is built and run; what breaks is said, and on a terminal where it is.
tests_are_watched()
{
	mkdir "$CHECK/copy"
	cp -a uml-config mm-changes scripts tests Makefile "$CHECK/copy/"
	ln -s "$TOP/build" "$CHECK/copy/build"
	cd "$CHECK/copy" || return
	stub scripts/build.sh 'exit 0'
	: > "$CHECK/out"
	cat > "$CHECK/start" <<-END
	export S= LINUX= KERNEL= T=@changed PROFILE=fast
	exec scripts/watch.sh ${OUT%/*} $GUEST build/host/mmuml-run --kernel $OUT/vmlinux --guest $GUEST
	END
	setsid script -qfec "sh $CHECK/start" /dev/null > "$CHECK/out" 2>&1 < /dev/null &
	PID=$!
	code=0
	until_there heard "nothing is edited" || code=1
	sed -i 's/region, same_size)/region, same_size_kit)/' tests/mremap/shrink.c
	until_there heard "tests/mremap/shrink.c  PASS 8  " || code=1
	heard "$(printf '\r')" || { echo "nothing transient on a terminal"; code=1; }
	echo 'int broken = ;' >> tests/mremap/shrink.c
	until_there heard "tests/mremap/shrink.c  does not build" || code=1
	heard "error: expected expression" || code=1
	kill $PID
	wait "$PID" || true
	cp -p "$TOP/tests/mremap/shrink.c" tests/mremap/shrink.c
	cd "$TOP" || return
	touch tests/mremap/shrink.c
	expect 0 make guest || code=1
	grep -q 'mremap.shrink.same_size	' "$GUEST/tests.list" || code=1
	return $code
}

# A tree of the user's: its save comes to the kit's copy of it, and nothing is written there.
user_tree_is_watched()
{
	user_tree
	: > "$CHECK/began"
	state=$(bytes_of "$LINUX_TREE")
	# What takes minutes is no part of what is waited for.
	expect 0 make build LINUX="$LINUX_TREE"
	piped LINUX="$LINUX_TREE" T='mremap.shrink.*'
	code=0
	until_there heard "start  PASS " || code=1
	cp -p "$LINUX_TREE/mm/mremap.c" "$CHECK/mremap.c"
	sed -i 's/^static unsigned long shrink_vma(/&/; /^static .* shrink_vma(/,/^$/s/^$/	return -ENOMEM;\n/' "$LINUX_TREE/mm/mremap.c"
	until_there heard "  mm/mremap.c  FAIL " || code=1
	# The commits that the round has brought to the new snapshot are those that applying the patches makes.
	name=$(LINUX=$LINUX_TREE scripts/tree.sh --name)
	commit=$(sed -n "s/^commit //p" "build/stacks/$name")
	git -C build/git for-each-ref --format='delete refs/mmuml/record/%(refname:lstrip=3)' --points-at "$commit" refs/mmuml/stack |
		git -C build/git update-ref --stdin
	mv "build/stacks/$name" "$CHECK/stack"
	expect 0 env LINUX="$LINUX_TREE" scripts/tree.sh --commit || code=1
	same "$(tail -n 1 "$CHECK/got")" "$commit" "the commit" || code=1
	mv "$CHECK/stack" "build/stacks/$name"
	cp -p "$CHECK/mremap.c" "$LINUX_TREE/mm/mremap.c"
	until_there heard "  mm/mremap.c  PASS " || code=1
	end_watch || code=1
	same "$(bytes_of "$LINUX_TREE")" "$state" "the user's tree" || code=1
	return $code
}

watch_cases()
{
	t -host watch.saves what_is_a_save
	t -host watch.own_work own_work_is_no_save
	t -host watch.ends rounds_end
	t -host watch.limits says_why_it_cannot
	t -x tree -x out watch.verdict verdict_on_each_save
	t -x tree -x out watch.taken_back rest_is_taken_back
	t -x tree -x out watch.tests tests_are_watched
	t -x tree -x out -x linux -full watch.linux user_tree_is_watched
}
