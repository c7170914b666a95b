"""The demo's private tables: seeded synthetic ones, or the real UCI readmission data split into sites."""

from __future__ import annotations

from pathlib import Path

from notebooks.readmission import synthetic, uci

ROWS_PER_HOSPITAL = 4000
_NAMES = ("academic-centre", "county-hospital", "childrens-clinic")


def write_tables(folder: Path, data: Path | None, sites: int, seed: int = 0) -> dict[str, Path]:
    """One CSV file per hospital, by the hospital's label."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    if data is not None:
        paths = uci.write_sites(data, folder, sites)
        return {path.stem.replace("_", "-"): path for path in paths}
    names = [_NAMES[i] if i < len(_NAMES) else f"hospital-{i + 1}" for i in range(sites)]
    for name, frame in synthetic.generate(names, ROWS_PER_HOSPITAL, seed).items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return {name: folder / f"{name}.csv" for name in names}
