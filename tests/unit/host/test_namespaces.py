"""A /tmp of one's own without root: a user namespace of the user's own, where the kernel lets users make them."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aiosd.host import namespaces
from aiosd.host.prepare import CannotStart
from tests.arch.source import ROOT

SCRIPT = """
import ctypes, os, sys
sys.path.insert(0, {root!r})
from aiosd.host import namespaces
from aiosd.host.prepare import CannotStart
os.setgroups([]); os.setgid(61001); os.setuid(61001)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as dumpable as a process that was started as this user
scratch = sys.argv[1]
places = namespaces.make_places(scratch)
try:
    namespaces.enter(scratch, places)
except CannotStart as error:
    sys.exit("refused: " + str(error))
open("/tmp/made", "w").close()
print(os.getuid(), os.listdir("/tmp"), os.listdir("/var/tmp"), os.listdir(scratch + "/.tmp/tmp"))
"""


@pytest.mark.root
def test_a_user_has_it_in_a_namespace_of_its_own() -> None:
    with tempfile.TemporaryDirectory(prefix="ans-", dir="/var/lib") as name:  # pytest's own are closed to other users
        Path(name).chmod(0o755)
        scratch = Path(name) / "scratch"
        scratch.mkdir()
        subprocess.run(["chown", "61001:61001", str(scratch)], check=True)
        done = subprocess.run([sys.executable, "-c", SCRIPT.format(root=str(ROOT)), str(scratch)], capture_output=True, text=True, timeout=60)
        if "refused: " in done.stderr:
            pytest.skip(f"this kernel lets no user make namespaces: {done.stderr.strip()}")
        assert done.stdout == "61001 ['made'] [] ['made']\n", done.stderr
        assert not Path("/tmp/made").exists()


def test_a_scratch_that_it_would_hide_is_refused() -> None:
    for place in ("/tmp/state/scratch/1.1", "/var/tmp/scratch/1.1"):
        with pytest.raises(CannotStart, match=f"would hide '{place}'"):
            namespaces.make_places(place)
