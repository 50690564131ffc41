import glob
import json
import os
from pathlib import Path

c = get_config()  # noqa: F821
here = Path(__file__).parent

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
for section, options in json.loads((here / "values.json").read_text()).items():
    c[section].update(options)

for path in sorted(glob.glob(str(here / "jupyterhub_config.d" / "*.py"))):
    with open(path) as f:
        exec(compile(source=f.read(), filename=os.path.basename(path), mode="exec"))

from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
