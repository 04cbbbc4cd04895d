# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about hosts that lack something. Sourced by check.sh.
# Long, for the cases of one subject share their helpers, and are looked for in one place.

# one_run [PROFILE]: for sh, one test on this profile's kernel (fast).
one_run()
{
	echo "cd $CHECK/run && $TOP/build/host/mmuml-run --kernel $TOP/${OUT%/*}/build-${1-fast}/vmlinux --guest $TOP/$GUEST" \
		"--tests kit.plain.pass"
}

shm_noexec()
{
	expect 3 privately "mount -t tmpfs -o noexec,size=2G none /dev/shm; $(one_run)"
	says "/dev/shm does not allow executable mappings" "try:     mount -o remount,exec"
}

shm_small()
{
	expect 3 privately "mount -t tmpfs -o size=8M none /dev/shm; $(one_run)"
	says "/dev/shm is too small" "8 MB free, 512 MB needed"
	# The way out that the message names.
	expect 0 privately "mount -t tmpfs -o size=8M none /dev/shm; export TMPDIR=$CHECK; $(one_run)"
}

memory_nowhere()
{
	expect 3 env TMPDIR=/no/such/dir sh -c "$(one_run)"
	says "no file for the guest's memory in /no/such/dir" "No such file or directory"
}

out_read_only()
{
	mkdir -p "$CHECK/run/out"
	expect 3 privately "mount --bind $CHECK/run/out $CHECK/run/out; mount -o remount,bind,ro $CHECK/run/out; $(one_run)"
	says "cannot make" "Read-only file system" "try:"
}

disk_full()
{
	mkdir -p "$CHECK/run/out"
	expect 3 privately "mount -t tmpfs -o size=100k none $CHECK/run/out; $(one_run)"
	says "No space left on device" "try:     df -h"
}

# all_tools: a directory that stands for PATH, from which a case can take something away.
all_tools()
{
	rm -rf "${CHECK:?}/bin"
	mkdir -p "$CHECK/bin"
	for d in /usr/sbin /sbin /usr/local/bin /usr/bin /bin; do
		ln -sfn "$d"/* "$CHECK/bin/"
	done
}

# Only the verbs that need gdb, valgrind or lcov may complain that they are missing.
without_optional_tools()
{
	all_tools
	rm -f "$CHECK"/bin/gdb* "$CHECK"/bin/valgrind* "$CHECK"/bin/lcov "$CHECK"/bin/genhtml
	expect 0 env PATH="$CHECK/bin" make run T=mremap.move.arrives-page
	says "mmuml: PASS 1 of 1"
}

# No apt and something missing: the packages are named, with code 3.
missing_tool()
{
	all_tools
	rm -f "$CHECK/bin/bison" "$CHECK/bin/apt-get" "$CHECK/bin/sudo"
	expect 3 env BUILD="$CHECK/empty-build" PATH="$CHECK/bin" scripts/doctor.sh --install
	says "missing: bison" "no apt"
}

# a_traced_program: a program, $CHECK/probed, and the places of two of its lines in $CHECK/code; a ptrace() that fails.
a_traced_program()
{
	cat > "$CHECK/probed.c" <<-'END'
	#include <stdio.h>
	void __attribute__((noipa)) never(void) { }
	void __attribute__((noipa)) once(void) { }
	int main(void)
	{
		once();
		puts("to the end");
		return 5;
	}
	END
	gcc -O1 -fno-pie -no-pie -o "$CHECK/probed" "$CHECK/probed.c"
	nm "$CHECK/probed" | sed -n 's/ T never$/ mm\/x.c:2/p; s/ T once$/ mm\/x.c:3/p' > "$CHECK/code"
	gcc -shared -fPIC -Wall -Wextra -Werror -o "$CHECK/ptrace.so" tests/kit/ptrace-fails.c
	rm -f "$CHECK/ran"
}

# probed CODE [VARIABLE=VALUE...]: it runs under the probe, which must end with CODE.
probed()
{
	rm -f "$CHECK/ran"
	code=$1
	shift
	# The one without AddressSanitizer, which has to come first in LD_PRELOAD.
	expect "$code" env LD_PRELOAD="$CHECK/ptrace.so" "$@" build/host/mmuml-probe "$CHECK/code" "$CHECK/ran" "$CHECK/probed"
}

# What was not watched is not known to have never run: no RAN file, or no kernel.
probe_loses_the_kernel()
{
	a_traced_program
	probed 5
	says "to the end"
	same "$(cat "$CHECK/ran")" mm/x.c:3 "lines that ran"
	# PTRACE_TRACEME, PTRACE_SETOPTIONS: as if there were no probe.
	for request in 0 16896; do
		probed 5 PTRACE_FAILS=$request
		says "to the end" "which lines run is not known" "Input/output error"
		[ ! -e "$CHECK/ran" ]
	done
	echo "10 mm/x.c:9" >> "$CHECK/code"
	probed 5
	says "to the end" "no breakpoint can be written into the kernel"
	[ ! -e "$CHECK/ran" ]
	sed -i '/:9$/d' "$CHECK/code"
	# PTRACE_CONT at first and at the breakpoint, PTRACE_GETREGS, PTRACE_SETREGS.
	for fails in "7 0" "7 1" "12 0" "13 0"; do
		probed 3 PTRACE_FAILS="${fails% *}" PTRACE_AFTER="${fails#* }"
		says "mmuml-probe has lost the kernel: " "Input/output error"
		says_not "to the end"
	done
	expect 127 build/host/mmuml-probe "$CHECK/code" "$CHECK/ran" "$CHECK/no/such"
	says "cannot start $CHECK/no/such" "No such file"
}

limits_are_read()
{
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -Iscripts/lib -o "$CHECK/unit-limits" \
	    tests/kit/unit-limits.c scripts/runner/hostlimits.c scripts/lib/*.c
	cd "$CHECK" || return
	expect 0 ./unit-limits
	says ", 0 failed"
}

cpus_by_affinity()
{
	cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
	expect 0 taskset -c "$cpu" "$TOP/build/host-asan/mmuml-run" --doctor
	says "kernels at a time  2 of MEM=512"
	[ "$(nproc --all)" = 1 ] || says "CPUs               1: the affinity to 1 of "
}

# in_group MEMORY QUOTA COMMAND: sh -c in a control group of that many MB and that part, in per cent, of a CPU; of the
# version whose controllers this host has. 77 if this user cannot make one.
in_group()
{
	group=/sys/fs/cgroup/mmuml-kit.$$
	if mkdir "/sys/fs/cgroup/memory/${group##*/}" "/sys/fs/cgroup/cpu/${group##*/}" 2>/dev/null; then
		set -- "$1" "$2" "$3" "/sys/fs/cgroup/memory/${group##*/}" "/sys/fs/cgroup/cpu/${group##*/}"
		echo $(($1 << 20)) > "$4/memory.limit_in_bytes"
		echo $(($2 * 1000)) > "$5/cpu.cfs_quota_us"
	elif mkdir $group 2>/dev/null && [ -e $group/memory.max ] && [ -e $group/cpu.max ]; then
		set -- "$1" "$2" "$3" $group $group
		echo $(($1 << 20)) > "$4/memory.max"
		echo "$(($2 * 1000)) 100000" > "$5/cpu.max"
	else
		rmdir $group 2>/dev/null || true
		return 77
	fi
	in=0
	sh -c "echo \$\$ > '$4/cgroup.procs'; echo \$\$ > '$5/cgroup.procs'; $3" || in=$?
	rmdir "$4" "$5" 2>/dev/null || true
	return $in
}

# A limit of the control group: fewer kernels at a time, or none.
limits_by_group()
{
	code=0
	in_group 1200 150 : || code=$?
	if [ $code = 77 ]; then
		echo "no control group can be made here: host.limits has them on files only"
		return 0
	fi
	run="$TOP/build/host-asan/mmuml-run"
	expect 0 in_group 1200 50 "$run --doctor"
	says "CPUs               0.5: the quota of 0.5 CPUs of /sys/fs/cgroup/" "kernels at a time  1 of MEM=512"
	expect 0 in_group 1200 150 "$run --doctor"
	says " MB: the memory limit of /sys/fs/cgroup/" "kernels at a time  2 of MEM=512: 1"
	# ASan's own memory is too much for that.
	expect 3 in_group 300 100 "$(one_run)"
	says "not enough memory" "MB available by the memory limit of /sys/fs/cgroup/" "the guest has 512 MB"
}

# Room for one guest is none for four: fewer at a time, and it is said. TMP= is where UML looks, too.
room_for_all()
{
	run=$(one_run | sed "s/--tests .*/--jobs 4 --tests 'mremap.move.*,mremap.errors.*'/")
	mkdir -p "$CHECK/mem" "$CHECK/small"
	expect 0 privately "mount -t tmpfs -o size=700M none /dev/shm; $run"
	says "NOTE    1 kernel of 512 MB at a time: /dev/shm has 700 MB free" "mmuml: PASS "
	expect 0 privately "mount -t tmpfs -o size=700M none /dev/shm; mount -t tmpfs -o size=3G none $CHECK/mem; export TMP=$CHECK/mem; $run"
	says_not NOTE
	# One test is one kernel, for which there is room.
	expect 0 privately "mount -t tmpfs -o size=700M none /dev/shm; $(one_run)"
	says_not NOTE
	expect 3 privately "mount -t tmpfs -o size=8M none $CHECK/small; export TEMP=$CHECK/small; $(one_run)"
	says "$CHECK/small is too small" "8 MB free, 512 MB needed"
}

# a_fake_apt: $CHECK/bin without bison; its apt-get notes in $CHECK/apt what it is called with, and brings bison.
a_fake_apt()
{
	all_tools
	rm -f "$CHECK/bin/bison" "$CHECK/bin/apt-get" "$CHECK/bin/sudo" "$CHECK/apt"
	cat > "$CHECK/bin/apt-get" <<-END
	#!/bin/sh
	echo "\$*" >> "$CHECK/apt"
	ln -sf /usr/bin/bison "$CHECK/bin/bison"
	END
	# As sudo is that asks for no password.
	# shellcheck disable=SC2016 # its own arguments
	printf '#!/bin/sh\n[ "$1" != -n ] || shift\nexec "$@"\n' > "$CHECK/bin/sudo"
	chmod +x "$CHECK/bin/apt-get" "$CHECK/bin/sudo"
	rm -rf "$CHECK/doctor"
}

# type_when_asked INPUT: printf it once the terminal shows the question, which without INPUT is not waited for.
type_when_asked()
{
	[ -n "$1" ] || return 0
	for _ in $(seq 200); do
		! grep -qF '[Y/n]' "$CHECK/terminal" || break
		sleep 0.1
	done
	# shellcheck disable=SC2059 # the input is the format
	printf "$1"
}

# on_a_terminal INPUT CODE [VARIABLE=VALUE]: doctor.sh --install, which is given INPUT (for printf) by the keyboard.
on_a_terminal()
{
	a_fake_apt
	ended=0
	: > "$CHECK/terminal"
	{ type_when_asked "$1"; sleep 0.5; } | env PATH="$CHECK/bin" BUILD="$CHECK/doctor" ${3+"$3"} \
		script -qfec "exec scripts/doctor.sh --install" "$CHECK/terminal" > /dev/null || ended=$?
	tr -d '\r' < "$CHECK/terminal" > "$CHECK/got"
	[ "$ended" = "$2" ] || { cat "$CHECK/got"; echo "exit $ended instead of $2"; return 1; }
}

# Nobody's machine is changed before he knows of it; where nobody is there to ask, it is.
asks_before_it_installs()
{
	for no in 'n\n' '\004' '\003'; do
		on_a_terminal "$no" 3
		says "DEPS    bison" "install these packages? [Y/n]" "missing: bison" "not installed" \
		     "apt-get install --no-install-recommends bison, or the same make with YES=1"
		[ ! -e "$CHECK/apt" ] || { cat "$CHECK/apt"; echo "apt-get was called"; return 1; }
	done
	for yes in 'y\n' '\n'; do
		on_a_terminal "$yes" 0
		says "DEPS    bison" "install these packages? [Y/n]"
		same "$(cat "$CHECK/apt")" "install -y -q --no-install-recommends bison" "what apt-get was called with"
	done
	on_a_terminal '' 0 YES=1
	says "DEPS    bison"
	says_not "[Y/n]"
	in_file "install -y" "$CHECK/apt"
	a_fake_apt
	expect 0 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" scripts/doctor.sh --install
	says "DEPS    bison"
	says_not "[Y/n]"
	in_file "install -y" "$CHECK/apt"
}

# Headers alone are no libc6-dev: what is linked statically needs its archive.
static_libc()
{
	a_fake_apt
	rm -f "$CHECK/bin/gcc"
	# shellcheck disable=SC2016 # its own arguments
	printf '#!/bin/sh\nfor a; do [ "$a" != -static ] || exit 1; done\nexec /usr/bin/gcc "$@"\n' > "$CHECK/bin/gcc"
	chmod +x "$CHECK/bin/gcc"
	expect 3 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" scripts/doctor.sh
	says "missing: libc6-dev bison" "libc6-dev        MISSING"
}

# Other tools than GNU's before them in PATH are said, with what they do not know.
tools_of_busybox()
{
	for tool in find cp sed grep env realpath; do
		rm -rf "$CHECK/busybox" "$CHECK/doctor"
		mkdir "$CHECK/busybox"
		ln -s /bin/busybox "$CHECK/busybox/$tool"
		expect 3 env BUILD="$CHECK/doctor" PATH="$CHECK/busybox:$PATH" scripts/doctor.sh --install
		says "$CHECK/busybox/$tool is not GNU's $tool" "try:     PATH=/usr/bin:"
	done
	# The same PATH without it is looked at again.
	rm "$CHECK/busybox/$tool"
	expect 0 env BUILD="$CHECK/doctor" PATH="$CHECK/busybox:$PATH" scripts/doctor.sh --install
}

# Where there is no apt, what was looked for and what others call it; a tree of the user's needs none.
without_apt()
{
	a_fake_apt
	rm "$CHECK/bin/apt-get"
	expect 3 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" scripts/doctor.sh --install
	says "missing: bison" "this machine has no apt; looked for: command bison" "Fedora: dnf install bison; Arch: pacman -S bison"
	ln -s /bin/true "$CHECK/bin/dnf"
	expect 3 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" scripts/doctor.sh --install
	says "try:     dnf install bison"
	rm "$CHECK/bin/dnf"
	ln -sf "$(command -v bison)" "$CHECK/bin/bison"
	expect 0 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" scripts/doctor.sh --install
	expect 0 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" LINUX=/some/tree scripts/fetch.sh
	expect 3 env PATH="$CHECK/bin" BUILD="$CHECK/doctor" scripts/fetch.sh
	says "this machine has no apt" "make run LINUX="
}

# refuses CALL COMMAND: for sh, on a host that refuses this system call (tests/kit/refuse.c).
refuses()
{
	[ -x "$CHECK/refuse" ] || gcc -Wall -Wextra -Werror -o "$CHECK/refuse" tests/kit/refuse.c
	"$CHECK/refuse" "$1" sh -c "$2"
}

# As in a container of Docker's: addresses vary, it is said, and what is exact elsewhere is refused here.
addresses_vary()
{
	expect 0 refuses personality "$(one_run)"
	says "NOTE    memory and counts vary from run to run: personality(ADDR_NO_RANDOMIZE) is refused" "mmuml: PASS 1 of 1"
	expect 3 refuses personality "$(one_run valgrind) --tool cachegrind"
	says "no exact counts on this host" "personality(ADDR_NO_RANDOMIZE) is refused" "seccomp=unconfined"
	expect 0 sh -c "$(one_run)"
	says_not "addresses"
}

# Without ptrace() the tests run all the same; what needs it says so, with the reason.
ptrace_forbidden()
{
	expect 0 refuses ptrace "$(one_run)"
	says "mmuml: PASS 1 of 1"
	for needs_it in "$(one_run) --tool gdb" "$(one_run valgrind) --tool memcheck"; do
		expect 3 refuses ptrace "$needs_it"
		says "ptrace is forbidden" "gdb, valgrind and kernels before 6.16 need PTRACE_TRACEME"
	done
}

# Somebody kills the kernel: that is the host's doing, and no test's.
host_kills_a_kernel()
{
	start_hanging
	kernel=$(pgrep -P "$PID" vmlinux | head -n 1)
	kill -KILL "$kernel"
	wait || true
	cp "$CHECK/hanging" "$CHECK/got"
	says "mmuml: HOST after 0 of 1 (the host ended a kernel: signal 9, which nobody here sent)" "exit 3"
	same "$(jq -r '.tests[0].status' "$CHECK/run/out/latest/results.json")" NOTRUN "the test"
}

# as_another COMMAND...: a user who is in no file, and has no home.
as_another()
{
	setpriv --reuid=4242 --regid=4242 --clear-groups env -u HOME "$@"
}

# What is another user's, or cannot be written, is said before all else.
not_this_users()
{
	a_copy
	mkdir -p other/build other/out other/scripts
	cp -r scripts/doctor.sh scripts/lib other/scripts/
	cd other || return
	expect 0 scripts/doctor.sh --install
	[ "$(id -u)" = 0 ] || return 0
	chmod 755 "$CHECK" .
	expect 3 as_another scripts/doctor.sh --install
	says "other/build cannot be written" "it belongs to root, you are 4242" "sudo chown -R 4242"
	chown -R 4242 .
	expect 0 as_another scripts/doctor.sh --install
	touch build/config.lock
	expect 3 as_another scripts/doctor.sh --install
	says "build/config.lock cannot be written" "it belongs to root"
	rm -f build/config.lock
	expect 3 privately "mount --bind '$PWD' '$PWD' && mount -o remount,bind,ro '$PWD' && cd '$PWD' && scripts/doctor.sh --install"
	says "cannot be written" "Read-only file system" "git clone"
}

host_cases()
{
	t -may namespaces host.shm_noexec shm_noexec
	t -may namespaces host.shm_small shm_small
	t host.memory_nowhere memory_nowhere
	t -may namespaces host.out_read_only out_read_only
	t -may namespaces host.disk_full disk_full
	t host.addresses addresses_vary
	t -may ptrace host.ptrace ptrace_forbidden
	t host.kills host_kills_a_kernel
	t -host host.not_ours not_this_users
	t -host host.busybox tools_of_busybox
	t -host host.no_apt without_apt
	t -x out host.no_optional_tools without_optional_tools
	t -host host.missing_tool missing_tool
	t -host host.asks asks_before_it_installs
	t -host host.static_libc static_libc
	t -may ptrace -host host.probe probe_loses_the_kernel
	t -host host.limits limits_are_read
	t host.affinity cpus_by_affinity
	t host.cgroup limits_by_group
	t -may namespaces host.room room_for_all
}
