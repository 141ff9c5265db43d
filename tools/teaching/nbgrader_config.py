"""What a course's nbgrader_config.py takes in: `load_subconfig` with this file's folder as path.

Time-outs are for a loaded server, what students hand in is repaired first, a line on stderr costs
nothing, and strangers' code runs in the sandbox.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.coursedir import CourseDirectory

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tools.teaching import repair, rubric  # noqa: E402

c = get_config()  # noqa: F821 - nbgrader gives it

# The judge counts a student's processor time; these, by the clock, only end what waits for ever.
c.Execute.timeout = 300
c.Execute.iopub_timeout = 120
c.Execute.startup_timeout = 300

c.Autograde.sanitize_preprocessors = repair.SANITIZE
c.OverwriteCells.add_missing_cells = True
c.CourseDirectory.ignore = [*CourseDirectory().ignore, *repair.shadows()]
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "(?s).*"

# exit() at the end of an answer would end the kernel, and the submission would not be graded.
c.Execute.extra_arguments = [
    "--HistoryManager.hist_file=:memory:",
    "--IPKernelApp.exec_lines=get_ipython().ask_exit = lambda: print('exit(): the kernel goes on')",
]
c.Execute.kernel_name = "sandboxed"
c.KernelManager.transport = "ipc"
sockets = tempfile.mkdtemp(prefix="nbgrader")
atexit.register(shutil.rmtree, sockets, ignore_errors=True)
c.KernelManager.ip = f"{sockets}/kernel"
os.environ["JUPYTER_PATH"] = os.pathsep.join(
    filter(None, [str(HERE), os.environ.get("JUPYTER_PATH")])
)
# nbgrader calls alembic by its bare name; it lies beside this Python.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ |= {"QUICK_RUN": "1", "TQDM_DISABLE": "1"}
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The formgrader shows points by criterion and the model answer; the feedback leaves them out.
c.Autograde.autograde_preprocessors = [*Autograde().autograde_preprocessors, rubric.ShowRubric]
c.GenerateFeedback.preprocessors = [rubric.ForStudents, *GenerateFeedback().preprocessors]
