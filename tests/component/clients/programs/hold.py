# SPDX-License-Identifier: Apache-2.0
"""hold.py MIB [COMMAND...]: allocates, and while it holds the memory runs COMMAND and shows its
own PID with what COMMAND said. Without COMMAND: says its PID and waits for a line."""

import json
import os
import subprocess
import sys

from cuda.bindings import driver
from drive import check, enter

enter()
check(driver.cuMemAlloc(int(sys.argv[1]) << 20))
command = sys.argv[2:]
if command:
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(json.dumps({"pid": os.getpid(), "said": said}))
else:
    print(os.getpid(), flush=True)
    sys.stdin.readline()
