"""The tree's own Python files, for the tests that look at how they are written."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("aios", "aiosctl", "aiosd")
DOMAINS = ("access", "resources", "scheduling", "jobs", "models", "deployments", "monitoring", "simulation")


def modules(*packages: str) -> list[Path]:
    """Every file of the packages that somebody wrote: generated code and migrations are left out."""
    found = [file for package in packages or PACKAGES for file in (ROOT / package).rglob("*.py")]
    return sorted(file for file in found if "v1" not in file.relative_to(ROOT).parts and "versions" not in file.parts)


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))
