/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the verdict are to each other; everybody else includes verdict.h. */
#ifndef MMUML_VERDICT_PARTS_H
#define MMUML_VERDICT_PARTS_H

#include "verdict.h"

/* ---- verdict.c ---- */

/* Whether the kernel is there for verdicts, and not for what a tool writes about it. */
bool boot_judged(const struct vboot *b);
struct test *verdict_test(struct verdict *v, int i);
/* The limit of test @i in this kernel, in s. */
double boot_test_limit(const struct verdict *v, const struct vboot *b, int i);
/* A kernel for @job, about test @i, is wanted. */
void verdict_wish_for(struct verdict *v, enum job job, int i);

/* ---- verdict-test.c ---- */

void outcome_set(struct outcome *o, enum status status, const char *reason);
/* The outcome of this round is final: it counts if it is worse than all before. */
void test_count(struct verdict *v, struct test *t);
/* Test @i ended in @b; @ended: and the kernel with it, for the same cause. */
void test_settle(struct verdict *v, struct vboot *b, int i, bool ended);
/* Reports of memcheck on test @i, if there are any; they come first: a crash may be what became of them. */
bool test_take_memcheck(struct verdict *v, struct vboot *b, int i);
/* What is known of test @i is all there will be; @ended: the kernel is gone with it. */
void test_finish(struct verdict *v, struct vboot *b, int i, bool ended);
/* Something of no test, in @b. @log: console text to be shown with it, or NULL; @reports: of memcheck, taken over, or NULL. */
void outside_note(struct verdict *v, const struct vboot *b, const char *where, enum status status, const char *reason,
		  const char *log, struct buf *reports);
void boot_note_class(struct vboot *b, const char *class);
bool boot_class_spoke(const struct vboot *b, const char *class);
void said_forget(struct said *s);
/* The reason of a report, malloc'ed, and its decoded text behind @trace. */
char *said_reason(const struct verdict *v, const struct said *s, struct buf *trace);
/* Where the kernel is that no test runs in, malloc'ed. */
char *boot_where(const struct verdict *v, const struct vboot *b);
/* What memcheck found outside the tests, as far as its log has come. */
void boot_take_outside(struct verdict *v, struct vboot *b);
/* Tests whose end is on every stream: [first, n). */
int boot_seen(const struct vboot *b);
/* Finish those that are not yet. */
void boot_finish_tests(struct verdict *v, struct vboot *b);
/* A report between tests, or before the first: its text is whole when something else begins. */
void boot_close_report(struct verdict *v, struct vboot *b);

/* ---- verdict-cases.c ---- */

/* A row: GLOB<tab>HOW<tab>KERNELS<tab>REASON. */
void known_add(struct verdict *v, const char *row);
/* Test @i, if it is one of the kernel's own, has ended: hold it, and the cases that it reported, against what is known. May move
 * plan.tests. */
void cases_take(struct verdict *v, int i);

/* ---- verdict-stream.c ---- */

/* The guest's word cannot be taken: say so on the test that was running, and end the boot. */
void boot_protocol_error(struct verdict *v, struct vboot *b, const char *what);
/* More of the console, of the result channel, of memcheck's XML. */
void stream_console(struct verdict *v, struct vboot *b, const struct event *e);
void stream_result(struct verdict *v, struct vboot *b, const struct event *e);
void stream_xml(struct verdict *v, struct vboot *b, const struct event *e);
/* The kernel is gone: the lines that it did not come to the end of. */
void stream_end(struct verdict *v, struct vboot *b, double t_now);

/* ---- verdict-end.c ---- */

/* The kernel is gone, with this status of wait(2). */
void boot_exit(struct verdict *v, struct vboot *b, int status, double t_now);

#endif
