"""Ed25519 keys and signatures by the `openssl` command alone: what an auditor without the tool has."""

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True)
class SigningKey:
    private: pathlib.Path
    public: pathlib.Path

    @classmethod
    def generate(cls, directory, name="report", algorithm="ED25519") -> "SigningKey":
        key = cls(directory / f"{name}-key.pem", directory / f"{name}-public.pem")
        _openssl("genpkey", "-algorithm", algorithm, "-out", key.private)
        _openssl("pkey", "-in", key.private, "-pubout", "-out", key.public)
        key.private.chmod(0o600)
        return key

    def sign(self, report):
        """Signs a file as `verify --sign-key` does."""
        _openssl("pkeyutl", "-sign", "-inkey", self.private, "-rawin", "-in", report, "-out", f"{report}.sig")

    def verifies(self, report) -> bool:
        """The check that docs/report.md gives."""
        outcome = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.public, "-rawin", "-in", report,
             "-sigfile", f"{report}.sig"],
            capture_output=True, text=True,
        )  # fmt: skip
        return outcome.returncode == 0 and "Signature Verified Successfully" in outcome.stdout


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
