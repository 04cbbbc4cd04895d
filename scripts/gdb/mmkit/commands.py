# SPDX-License-Identifier: GPL-2.0
"""Registers all commands: importing their modules does it."""
from mmkit import page, vma, pgtable, rmap, locks, zones, graph	# noqa: F401
