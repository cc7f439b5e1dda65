"""What is installed from a wheel has everything that it needs at run time, as a checkout has."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
LOOK = """
import sys
sys.path.insert(0, sys.argv[1])
from extension import image_vectors
from extension.rendering import templates
print(templates.CHARTS, len(image_vectors.load(templates.CHARTS / "images.yaml")))
"""


def test_a_wheel_has_the_charts_that_the_extension_renders_and_no_others(tmp_path):
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", f"--wheel-dir={tmp_path}", REPOSITORY)
    subprocess.run([*pip, *build], check=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", f"--target={tmp_path / 'site'}", wheel], check=True, timeout=100)
    charts = tmp_path / "site" / "extension" / "charts"
    internal = REPOSITORY / "charts" / "internal"
    found = {path.relative_to(charts).as_posix() for path in charts.rglob("*") if path.is_file()}
    wanted = {f"internal/{path.relative_to(internal).as_posix()}" for path in internal.rglob("*") if path.is_file()}
    assert found == {"images.yaml", *wanted}
    look = (sys.executable, "-I", "-c", LOOK, tmp_path / "site")
    done = subprocess.run(look, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(charts), "3"]
