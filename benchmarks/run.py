"""Every benchmark in one run, as ratios measured side by side: `make bench`. About five minutes on two idle cores.

Prints the table and writes it to results/benchmarks.json, one object a benchmark, and how rankings scale to
results/scale.csv; the page "Speed" shows both.
"""

import json
from argparse import ArgumentParser

import pandas as pd
from tqdm import tqdm

from benchmarks import campaigns, esvm, loop, scale
from lib.data import RESULTS, replacing


def main(argv: list[str] | None = None) -> None:
    ArgumentParser("python -m benchmarks.run", description=__doc__).parse_args(argv)
    rows = [row for part in tqdm((loop, esvm, campaigns), unit="part") for row in part.rows()]
    print(pd.DataFrame(rows).drop(columns="machine").to_string(index=False, float_format="%.3g"))
    print(f"machine: {rows[0]['machine']}")
    with replacing(RESULTS / "benchmarks.json") as path:
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    sizes = scale.measure()
    print(sizes.to_string(index=False, float_format="%.3g"))
    with replacing(RESULTS / "scale.csv") as path:
        sizes.to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
