# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# The work tree DIR of the stack NAME: made, or brought to another commit; what it was made of, in build/stacks/NAME.
# Sourced by scripts/tree.sh.

# copy CP-OPTIONS FROM TO
copy()
{
	cp "$@" 2>"$SCRATCH/copy.log" || die "$EX_HOST" "$DIR cannot be made as a copy" "$(head -n 1 "$SCRATCH/copy.log")" "df -h $BUILD"
}

# copy_tree NAME: all of that tree but its builds. What this kit's kernels hardly compile (drivers, other architectures,
# tools) is shared through hard links, which git replaces and never writes to; the rest is copied, times kept.
copy_tree()
{
	from=$BUILD/trees/$1
	for d in "$from"/* "$from"/.[a-z]*; do
		case ${d#"$from"/} in
		build-* | .git) ;;
		Documentation | arch | drivers | rust | samples | sound | tools) copy -al "$d" "$DIR/" ;;
		*) copy -a --reflink=auto "$d" "$DIR/" ;;
		esac
	done
	for d in arch/um arch/x86 drivers/base drivers/block drivers/char drivers/tty drivers/virtio; do
		rm -rf "${DIR:?}/$d"
		copy -a --reflink=auto "$from/$d" "$DIR/$d"
	done
	copy -p "$KGIT/worktrees/$1/index" "$KGIT/worktrees/$NAME/index"
}

# near_tree COMMIT: the name of the tree with a build that differs from it in the fewest files; nothing if in too many, for which a
# copy gains nothing.
near_tree()
{
	# A tree once, however many profiles of it are built.
	for k in "$BUILD"/trees/*/build-*/.build.key; do
		k=${k%/build-*}
		echo "${k##*/}"
	done | sort -u | while read -r k; do
		head=$(kgit rev-parse -q --verify "refs/mmuml/tree/$k" || true)
		if [ -z "$head" ] || [ ! -f "$KGIT/worktrees/$k/mmuml-ready" ]; then
			continue
		fi
		echo "$(kgit diff-tree -r --name-only --no-renames "$head" "$1" | wc -l) $k"
	done | sort -n | awk 'NR == 1 && $1 < 1000 { print $2 }'
}

new_tree()
{
	say TREE "$DIR"
	rm -rf "$DIR"
	kgit worktree prune
	[ -n "$FROM" ] || FROM=$(near_tree "$1")
	if [ -n "$FROM" ] && [ "$FROM" != "$NAME" ] && [ -f "$KGIT/worktrees/$FROM/mmuml-ready" ]; then
		# Copies have other inodes: only times and sizes tell git that it knows the files.
		kgit config core.checkStat minimal
		kgit config core.trustctime false
		kgit worktree add -q --no-checkout --detach "$DIR" "$(tgit "$BUILD/trees/$FROM" rev-parse HEAD)"
		copy_tree "$FROM"
		# Edits of the other tree that were never committed are not this one's.
		tgit "$DIR" checkout -q -f --detach "$1"
		tgit "$DIR" clean -q -f -d
	elif [ -f "$KGIT/base.index" ] && [ -d "$BUILD/base.tmp" ] && [ "$(cat "$KGIT/base.commit")" = "$BASE" ]; then
		kgit worktree add -q --no-checkout --detach "$DIR" "$BASE"
		mv "$BUILD"/base.tmp/* "$BUILD"/base.tmp/.[a-z]* "$DIR"/
		rm -rf "$BUILD/base.tmp"
		mv "$KGIT/base.index" "$KGIT/worktrees/$NAME/index"
	else
		kgit worktree add -q --detach "$DIR" "$1"
	fi
	echo '/build-*' >> "$KGIT/info/exclude"
	sort -u -o "$KGIT/info/exclude" "$KGIT/info/exclude"
	touch "$READY"
}

# Bring the tree to the commit. Edits and commits made in it by hand stay, or stop us.
update_tree()
{
	want=$1
	head=$(tgit "$DIR" rev-parse HEAD)
	last=$(kgit rev-parse -q --verify "refs/mmuml/tree/$NAME" || echo none)
	if [ "$head" != "$want" ]; then
		if [ "$head" != "$last" ] && tgit "$DIR" merge-base --is-ancestor "$want" "$head"; then
			return 0
		fi
		if [ "$head" != "$last" ] && [ "$last" != none ]; then
			die "$EX_PATCH" "$DIR has commits of yours on an older stack" \
			    "the patches of the stack changed under $(tgit "$DIR" rev-parse --short "$head")" \
			    "git -C $DIR rebase --onto $(echo "$want" | cut -c1-12) $(echo "$last" | cut -c1-12)"
		fi
		say TREE "$DIR ($(kgit rev-list --count "$want" ^"$BASE") patches)"
		tgit "$DIR" checkout -q --detach "$want" 2>"$SCRATCH/checkout.log" ||
			die "$EX_PATCH" "$DIR has edits of yours that the stack would overwrite" \
			    "$(grep -v '^error' "$SCRATCH/checkout.log" | head -n 1 | tr -d '\t')" \
			    "git -C $DIR stash"
	fi
	kgit update-ref "refs/mmuml/tree/$NAME" "$want"
}

# write_stack COMMIT: build/stacks/NAME, as scripts/tree.sh says it.
write_stack()
{
	mkdir -p "$BUILD/stacks"
	[ -n "$FROM" ] || FROM=$(sed -n 's/^from //p' "$STACK" 2>/dev/null || true)
	{
		echo "name $NAME"
		echo "linux $([ -z "$LINUX" ] || realpath -- "$LINUX")"
		echo "stack $S"
		echo "kernel $(version_of "$BASE")"
		echo "base $BASE"
		echo "commit $1"
		[ -z "$FROM" ] || echo "from $FROM"
		grep '^left ' "$SCRATCH/record" || true
	} > "$SCRATCH/stack"
	sed -n 's/^commit [^ ]* //p' "$SCRATCH/record" | xargs -r sha256sum > "$SCRATCH/sums"
	sed 's/^\([0-9a-f]*\)  /patch \1 /' "$SCRATCH/sums" >> "$SCRATCH/stack"
	mv "$SCRATCH/stack" "$STACK"
}
