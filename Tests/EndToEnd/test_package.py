"""The Debian package on a clean system: installed by apt, run without a Swift toolchain."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from support.rotation_tool import REPOSITORY

IN_ONE_PROCESS = True
pytestmark = [
    pytest.mark.slow,
    pytest.mark.watchdog(600),
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and debootstrap"),
]


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=500, **options)
    assert result.returncode == 0, f"{command}: {result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def root():
    """A minimal Debian 12 with the package and what it depends on, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="reencrypt-root-") as folder:
        package = pathlib.Path(run(REPOSITORY / "scripts/package", folder, cwd=REPOSITORY).splitlines()[-1])
        root = pathlib.Path(folder) / "root"
        bootstrapped = subprocess.run(
            ["debootstrap", "--variant=minbase", "bookworm", root, mirror()],
            capture_output=True, text=True, timeout=500, check=False)  # fmt: skip
        if bootstrapped.returncode != 0:
            pytest.skip(f"no Debian root can be made here: {bootstrapped.stdout[-300:]}")
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        for name in ("apt.conf.d", "sources.list", "sources.list.d"):
            inherit(name, root)
        shutil.copy(package, root / "tmp/tool.deb")
        run("chroot", root, "apt-get", "update")
        run("chroot", root, "apt-get", "install", "-y", "--no-install-recommends", "/tmp/tool.deb",
            env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # fmt: skip
        # As on any system that runs: the program refuses to guess its arguments without it.
        run("mount", "-t", "proc", "proc", root / "proc")
        try:
            yield root
        finally:
            run("umount", root / "proc")


def mirror() -> str:
    """Where this machine gets Debian from."""
    listed = run("apt-get", "indextargets", "--format", "$(SITE)").split()
    return listed[0]


def inherit(name, root):
    """How this machine reaches its mirror: proxies, sources, certificates."""
    source = pathlib.Path("/etc/apt") / name
    target = root / "etc/apt" / name
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy(source, target)


def test_runs_without_a_toolchain(root):
    assert not (root / "usr/bin/swift").exists()
    inside = ("chroot", root, "/usr/bin/reencrypt-secrets")
    assert run(*inside, "--version").strip()
    assert "kek-v1:" in run(*inside, "keygen")
    status = subprocess.run([*inside, "status"], capture_output=True, text=True, timeout=30, check=False)
    assert "no queue: set REDIS_URL" in status.stderr
    libraries = run("chroot", root, "ldd", "/usr/bin/reencrypt-secrets")
    assert "not found" not in libraries and "libswift" not in libraries


def test_what_is_installed(root):
    for path in (
        "usr/share/bash-completion/completions/reencrypt-secrets",
        "usr/share/zsh/site-functions/_reencrypt-secrets",
        "usr/share/fish/vendor_completions.d/reencrypt-secrets.fish",
        "usr/share/man/man1/reencrypt-secrets.verify.1.gz",
        "usr/share/doc/reencrypt-secrets/examples/encrypted-tables.yaml",
        "usr/share/doc/reencrypt-secrets/docs/runbook.md",
        "usr/share/doc/reencrypt-secrets/deploy/sql/roles.sql",
        "usr/lib/systemd/system/reencrypt-worker@.service",
    ):
        # minbase leaves out documents where dpkg is told so; the files' list knows them all the same.
        assert "/" + path in run("chroot", root, "dpkg", "-L", "reencrypt-secrets").splitlines(), path
    unit = (root / "usr/lib/systemd/system/reencrypt-worker@.service").read_text()
    assert "/usr/local" not in unit and "ExecStart=/usr/bin/reencrypt-secrets worker" in unit


def test_links_between_documents_hold(root, tmp_path):
    run("dpkg-deb", "-x", str(root / "tmp/tool.deb"), str(tmp_path))
    documents = tmp_path / "usr/share/doc/reencrypt-secrets"
    followed = 0
    for document in documents.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            target = (document.parent / link).resolve()
            # Tests and sources are in the repository alone.
            if target.relative_to(documents.resolve()).parts[0] in ("docs", "deploy", "README.md", "CHANGELOG.md"):
                assert target.exists(), f"{document.name}: {link}"
                followed += 1
    assert followed > 50


def test_the_size_is_what_the_readme_says(root):
    said = re.search(
        r"the Debian package takes (\d+) MB.*?compressed it is (\d+) MB", (REPOSITORY / "deploy/README.md").read_text(), re.S
    )
    assert said, "deploy/README.md has lost the size"
    listed = run("chroot", root, "dpkg-query", "--show", "--showformat=${Installed-Size}", "reencrypt-secrets")
    sizes = (int(listed) * 1024 / 1e6, (root / "tmp/tool.deb").stat().st_size / 1e6)
    for wanted, size in zip(said.groups(), sizes):
        assert size == pytest.approx(int(wanted), rel=0.05), f"{size:.1f} MB, and the document says {wanted}"
