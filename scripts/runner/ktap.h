/* SPDX-License-Identifier: GPL-2.0 */
/* One line of the result channel. */
#ifndef MMUML_KTAP_H
#define MMUML_KTAP_H

#include <stdbool.h>

enum ktap_kind {
	KTAP_VERSION, KTAP_PLAN, KTAP_OK, KTAP_NOT_OK, KTAP_DIAG, KTAP_BEGIN, KTAP_COUNTER, KTAP_ARMED, KTAP_LEAK, KTAP_DONE,
	KTAP_OTHER,
};

struct ktap_line {
	enum ktap_kind kind;
	long nr;		/* of a result; count of a plan or of done; value of a counter, or of an answer */
	char name[256];		/* of a test, a counter, a detector */
	bool skip;
	char reason[512];	/* after "# SKIP ", or inside "# (...)" */
	const char *text;	/* of a diagnostic, without "# " */
};

/* Take one line (no newline) apart. Never fails: what is no KTAP and none of protocol.h's is KTAP_OTHER. */
void ktap_parse(const char *line, struct ktap_line *out);

#endif
