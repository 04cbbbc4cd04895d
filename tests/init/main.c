// SPDX-License-Identifier: GPL-2.0
/* PID 1 of the guest, from its first mount to the power-off. */
#include "init.h"

int main(int argc, char **argv)
{
	struct plan plan;

	if (is_idle_test(argc, argv))
		return 0;
	mount_all();
	read_settings();
	if (settings.shell) {
		shell();
		power_off();
	}
	read_plan(&plan);
	ktap_begin(&plan);
	run_plan(&plan);
	say_leaks(&plan);
	say_armed();
	ktap_end(&plan);
	power_off();
}
