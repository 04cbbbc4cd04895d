# SPDX-License-Identifier: GPL-2.0
"""Exit codes and markers: the "#define NAME VALUE" lines of scripts/lib/protocol.h, as attributes of this module."""
import os
import re

HEADER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "lib", "protocol.h")
DEFINE = re.compile(r'^#define\s+([A-Z_]+)\s+(?:(-?[0-9]+)|"([^"]*)")')


def parse(text):
    """{NAME: number or string} of each line that defines one; the include guard and anything else is left out."""
    found = {}
    for line in text.splitlines():
        m = DEFINE.match(line)
        if m:
            found[m[1]] = int(m[2]) if m[2] else m[3]
    return found


with open(HEADER) as header:
    globals().update(parse(header.read()))
