# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about hosts that lack something. Sourced by check.sh.

one_run()
{
	echo "cd $CHECK/run && $TOP/build/host/mmuml-run --kernel $TOP/$OUT/vmlinux --guest $TOP/$GUEST --tests kit.plain.pass"
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

host_cases()
{
	t host.shm_noexec shm_noexec
	t host.shm_small shm_small
	t host.memory_nowhere memory_nowhere
	t host.out_read_only out_read_only
	t host.disk_full disk_full
	t -x out host.no_optional_tools without_optional_tools
	t -host host.missing_tool missing_tool
}
