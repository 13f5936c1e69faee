"""The software of the trainings: built over modules or without, packed, moved, and found again."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from waiting import PATIENCE

from hed.pilot import scratch
from hed.site import site
from hed.site.profile import PILOT

ROOT = Path(__file__).parents[1]
# An old shell's way to hand a function to the shells that it starts.
MODULE = "BASH_FUNC_module%%"
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


class Project:
    """A checkout with the real scripts, locks of two tiny packages, and a stand-in module."""

    def __init__(self, root: Path) -> None:
        self.root, self.modules = root, root / "opt" / "fake"
        self.aurora = root / "envs" / "aurora"
        shutil.copytree(ROOT / "envs" / "aurora", self.aurora)
        (root / "Makefile").write_text("setup:\n\t@:\n")
        (root / ".venv").symlink_to(sys.prefix)
        (root / "uv.toml").write_text(f'no-index = true\nfind-links = ["{root / "wheels"}"]\n')
        (self.aurora / "modules.txt").write_text("# why\nfake # TensorFlow\n")
        (self.aurora / "added.in").write_text("probe\n")
        lock = wheel(root / "wheels", "probe", "1.0") + wheel(root / "wheels", "numpy", "9.0")
        (self.aurora / "added.lock").write_text(lock)
        (root / "envs" / "training-tf2.15.lock").write_text(lock)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.modules], check=True)
        for name in ("tensorflow", "numpy"):
            install(self.modules / LIBRARY, name, "1.0")

    def environ(self, *, modules: bool) -> dict[str, str]:
        """Return the environment of a user who is in the workflow environment."""
        load = f'[ "$*" = "load fake" ] && echo loaded && PATH={self.modules}/bin:$PATH'
        function = f"() {{ {{ {load}; }} || {{ echo unknown: $2; return 1; }}; }}"
        path = [f"{sys.prefix}/bin", f"{sys.base_prefix}/bin", "/usr/bin", "/bin"]
        return {
            "PATH": ":".join(path),
            "HOME": str(self.root),
            "VIRTUAL_ENV": sys.prefix,
            "HED_LOCAL": str(self.root / "local"),
            "UV_CONFIG_FILE": str(self.root / "uv.toml"),
            **({MODULE: function} if modules else {}),
        }

    def build(self, *, modules: bool = True) -> subprocess.CompletedProcess[str]:
        """Type the command."""
        return self._run([self.aurora / "build.sh"], modules)

    def source(
        self, command: str, *, modules: bool = True, shell: str = "bash", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Source environment.sh in a shell and go on with a command if that succeeds."""
        script = self.aurora / "environment.sh"
        environ["HED_ENVIRONMENT"] = str(script)
        return self._run([shell, "-c", f". {script} && {command}"], modules, environ)

    def _run(self, command, modules, environ=None):
        environ = {**self.environ(modules=modules), **(environ or {})}
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=PATIENCE
        )

    @property
    def built(self) -> Path:
        """The current software of the trainings."""
        return (self.root / ".venv-aurora" / "training").resolve()

    @property
    def tar(self) -> Path:
        """What a block unpacks."""
        return self.built.with_name(f"{self.built.name}.tar")


def wheel(directory: Path, name: str, version: str) -> str:
    """Make a wheel with one module and one command; return its entry in a lock."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    content = {
        f"{name}/__init__.py": "import sys\n\ndef main():\n    print(sys.prefix)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{member},{checksum(text)},\n" for member, text in content.items())
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(member, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} \\\n    --hash=sha256:{digest}\n"


def checksum(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def install(library: Path, name: str, version: str) -> None:
    """Put a package into a directory, as a module of the site has it."""
    (library / name).mkdir()
    (library / name / "__init__.py").write_text("")
    info = library / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a project whose software is built over modules; tests must not change it."""
    project = Project(tmp_path_factory.mktemp("project"))
    done = project.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def stage(project: Project, to: Path) -> Path:
    """Unpack the software as a block does."""
    command = [sys.executable, ROOT / "scripts" / "stage.py", "--to", to, "--unpack", project.tar]
    subprocess.run(command, check=True, capture_output=True)
    return to / project.built.name


def prefix(project: Project, **environ: str) -> str:
    """Return which copy of the software is used."""
    return project.source("python -c 'import sys; print(sys.prefix)'", **environ).stdout.strip()


def error(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last thing that a failed command said."""
    assert done.returncode != 0, done.stdout
    return done.stderr.splitlines()[-1]


def test_only_what_the_modules_lack_is_added(built):
    assert (built.built / LIBRARY / "probe").is_dir()
    assert not (built.built / LIBRARY / "numpy").exists()
    where = built.source("python -c 'import numpy, tensorflow as t; print(numpy, t)'").stdout
    assert where.count(str(built.modules)) == 2


def test_a_second_build_keeps_what_is_there(built):
    before = built.tar.stat()
    done = built.build()
    assert done.returncode == 0, done.stderr
    assert built.tar.stat() == before


def test_without_modules_all_of_the_lock_is_installed(project):
    if sys.version_info >= (3, 12):
        pytest.skip("TensorFlow 2.15 has no Python here")
    done = project.build(modules=False)
    assert done.returncode == 0, done.stderr
    printed = project.source("python -c 'import numpy, sys; print(numpy)'", modules=False).stdout
    assert str(project.built / LIBRARY) in printed


def test_the_packed_software_runs_where_the_original_is_not(project, tmp_path):
    assert project.build().returncode == 0
    local = stage(project, tmp_path / "local")
    shutil.rmtree(project.built)
    done = project.source("probe && python -c 'import probe, tensorflow'")
    assert (done.stdout, done.returncode) == (f"{local}\n", 0), done.stderr


def test_a_copy_that_is_not_whole_is_not_used(built, tmp_path):
    local = tmp_path / "local"
    unpacked = stage(built, local)
    assert prefix(built, HED_LOCAL=str(local)) == str(unpacked)
    # The first worker pool of a node clears it, and uv has left a lock in the software.
    assert (unpacked / ".lock").exists()
    scratch.remove_dead(local)
    assert prefix(built, HED_LOCAL=str(local)) == str(unpacked)
    (local / ".hed-staging" / f"{unpacked.name}.json").unlink()
    assert prefix(built, HED_LOCAL=str(local)) == str(built.built)


def test_a_block_keeps_its_software_when_it_is_built_again(project, tmp_path):
    assert project.build().returncode == 0
    local = tmp_path / "local"
    unpacked = stage(project, local)
    environ = {"HED_LOCAL": str(local), "HED_SOFTWARE": unpacked.name}
    # Software of a site's own, which this script does not know.
    assert prefix(project, **(environ | {"HED_SOFTWARE": "of-the-site"})) == str(unpacked)
    link = project.root / ".venv-aurora" / "training"
    link.unlink()
    link.symlink_to("training-new")
    assert prefix(project, **environ) == str(unpacked)


def test_a_copy_without_its_python_is_not_used(built, tmp_path):
    unpacked = stage(built, tmp_path / "local")
    (unpacked / "bin" / "python").unlink()
    assert prefix(built, HED_LOCAL=str(tmp_path / "local")) == str(built.built)


def test_a_run_on_a_tile_gets_the_software_and_its_device(built):
    environ = {
        **built.environ(modules=True),
        "HED_ENVIRONMENT": str(built.aurora / "environment.sh"),
        "HED_DEVICE_VARIABLE": "ZE_AFFINITY_MASK",
        "ZE_AFFINITY_MASK": "3",
    }
    tile = [PILOT / "tile", "sh", "-c", "echo $ZE_AFFINITY_MASK; probe"]
    done = subprocess.run(tile, env=environ, capture_output=True, text=True)
    assert done.stdout.split() == ["3", str(built.built)], done.stderr


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_sourcing_prints_nothing_and_leaves_only_the_environment(project, shell):
    (project.aurora / "modules.txt").write_text("")
    assert project.build().returncode == 0
    show = "set | grep -i ^hed_; env | grep -E '^(TMPDIR|ZE_|PYTHONNO)' | sort"
    done = project.source(show, shell=shell, TMPDIR="/var/tmp/" + "x" * 90, HED_LOCAL="")
    assert done.stderr == ""
    settings = ["PYTHONNOUSERSITE=1", "TMPDIR=/tmp", "ZE_FLAT_DEVICE_HIERARCHY=FLAT"]
    left = [line for line in done.stdout.split() if not line.startswith("HED_")]
    assert left == settings


def test_the_hierarchy_of_the_site_is_kept(built):
    done = built.source("echo $ZE_FLAT_DEVICE_HIERARCHY", ZE_FLAT_DEVICE_HIERARCHY="COMPOSITE")
    assert done.stdout == "COMPOSITE\n"


def test_what_is_not_built_is_said(project):
    said = error(project.source("true"))
    assert said.startswith("error: there is no software") and "build.sh" in said


def test_changed_modules_demand_another_build(project):
    assert project.build().returncode == 0
    (project.aurora / "modules.txt").write_text("fake/2\n")
    assert "modules.txt was changed" in error(project.source("true"))


def test_a_node_without_modules_is_said(built):
    assert "no module command" in error(built.source("true", modules=False))


def test_an_unknown_module_is_said_and_nothing_is_left(project):
    (project.aurora / "modules.txt").write_text("frameworks/2020\n")
    said = project.build()
    assert "no modules 'frameworks/2020'" in error(said)
    assert "unknown: frameworks/2020" in said.stderr
    assert not (project.root / ".venv-aurora").exists()


def test_modules_without_tensorflow_are_said(project):
    shutil.rmtree(project.modules / LIBRARY / "tensorflow")
    assert "has no TensorFlow" in error(project.build())


def test_a_package_that_is_not_the_locked_one_is_refused_and_nothing_is_left(project):
    lock = (project.aurora / "added.lock").read_text()
    (project.aurora / "added.lock").write_text(lock.replace("sha256:", "sha256:0")[:-2] + "\n")
    assert "ash" in project.build().stderr
    assert os.listdir(project.root / ".venv-aurora") == []


def test_a_named_package_of_another_major_version_is_replaced(tmp_path):
    for name, version in [("polars", "0.20.1"), ("attrs", "21.1"), ("Type_Ext", "4.1")]:
        install(tmp_path, name, version)
    lock = [
        "polars==2.0 ; python_full_version < '3.11' \\\n    --hash=sha256:0\n",
        "polars==2.1 ; python_full_version >= '3.11' \\\n    --hash=sha256:1\n",
        "attrs==26.1 \\\n    --hash=sha256:2\n    --hash=sha256:3\n",
        "type-ext==4.9 \\\n    --hash=sha256:4\n",
        "absent[extra]==1.0 \\\n    --hash=sha256:5\n",
    ]
    (tmp_path / "lock").write_text("# made by uv\n" + "".join(lock))
    (tmp_path / "in").write_text("# why\npolars>=2,<3\ntype-ext\n")
    script = ROOT / "envs" / "aurora" / "lacking.py"
    printed = subprocess.run(
        [sys.executable, "-S", script, tmp_path / "in", tmp_path / "lock"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "".join([lock[0], lock[1], lock[4]])


def test_the_aurora_profile_names_the_environment():
    environment = site.read(ROOT / "profiles" / "aurora" / "site.yaml", {}).environment
    assert environment == ROOT / "envs" / "aurora" / "environment.sh"
