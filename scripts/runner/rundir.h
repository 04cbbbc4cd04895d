/* SPDX-License-Identifier: GPL-2.0 */
/* The run directory: the one place that knows what is in it by which name. */
#ifndef MMUML_RUNDIR_H
#define MMUML_RUNDIR_H

#include "../lib/kit.h"

/* What a run leaves, by its name below the directory. */
#define RUN_RECORD	"record"	/* record.h: all that happened */
#define RUN_KTAP	"results.ktap"
#define RUN_JSON	"results.json"
#define RUN_KNOWN	"KNOWN"			/* what of the kernel's own tests is known to fail, beside its tests.list */
#define RUN_JUNIT	"junit.xml"
#define RUN_VERDICT	"verdict"	/* the last line */
#define RUN_MANIFEST	"manifest.json"
#define RUN_REPRO	"repro.sh"
#define RUN_CONFIG	".config"
#define RUN_KERNEL	"vmlinux"
#define RUN_MEMCHECK	"memcheck.txt"
#define RUN_COVERAGE	"coverage"	/* a directory */
#define RUN_CONSOLE	"console"	/* console.log, console-2.log, ... */
#define RUN_BOOT	"boot"		/* boot1, boot2, ...: private files of a kernel, gone with it */

/* Make out/runs/<UTC>-<what> and write its name to the file @note, may be NULL; exits with EX_HOST if it cannot. */
char *rundir_make(const char *what, const char *note);
/* Point out/latest to it; exits with EX_HOST if that cannot be done. */
void rundir_latest(const char *dir);
/* Write a file of it as a whole; exits with EX_HOST if it cannot. */
void rundir_put(const char *dir, const char *name, const char *text, size_t len);
/* Path of console log @nr, from 0; malloc'ed. */
char *rundir_console(const char *dir, int nr);
/* Of the kernels that runs have kept, only those of the newest few stay. */
void rundir_drop_kernels(void);
/* Print what results.json says under KEY (a jq-like path of object keys, "summary.pass"), or for the files their paths; EX_PASS, or
 * EX_USAGE with the keys there are. */
int rundir_query(const char *dir, const char *key);

#endif
