"""Reads what `regatta` wrote with pandas, pyarrow and DuckDB, and compares the forms: FOLDER SCHEMA."""

import json
import sys
from pathlib import Path

import duckdb
import jsonschema
import pandas
import pyarrow
import pyarrow.parquet

folder, schema = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in ["trials", "none", "groups"]:
    validator.validate(json.loads((folder / f"{name}.json").read_text()))

TEXT = {name: "string" for name in ["trial", "sweep", "state", "why", "model.name", "data.split", "best_trial"]}
KINDS = {"epochs_done": "i", "epochs": "i", "seed": "i", "attempts": "i", "repeat": "i", "batch_size": "i",
         "value": "f", "elapsed": "f", "optimizer.lr": "f", "val/loss@last": "f", "val/jaccard@best-val": "f",
         "leaky": "b", "n": "i", "mean": "f", "median_seconds": "f", "lost": "i"}

# Later ones read numbers exactly by themselves.
PRECISE = {"float_precision": "round_trip"} if int(pandas.__version__.split(".")[0]) < 3 else {}


def same(left, right):
    if left is None or (isinstance(left, float) and left != left) or left is pandas.NA:
        return right is None or (isinstance(right, float) and right != right) or right is pandas.NA
    return left == right


for name in ["trials", "groups"]:
    file = folder / f"{name}.parquet"
    table = pyarrow.parquet.read_table(file)
    csv = pandas.read_csv(folder / f"{name}.csv", dtype=TEXT, keep_default_na=False, na_values=[""], **PRECISE)
    lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    assert list(csv.columns) == table.column_names, (list(csv.columns), table.column_names)
    assert len(csv) == len(lines) == table.num_rows
    for column in table.column_names:
        kind = KINDS.get(column) if (name, column) != ("groups", "leaky") else "i"
        typed = table.schema.field(column).type
        if kind == "i":
            assert typed == pyarrow.int64(), (column, typed)
            assert csv[column].dtype.kind == "i", (column, csv[column].dtype)
        elif kind == "f":
            assert typed == pyarrow.float64(), (column, typed)
            assert csv[column].dtype.kind == "f", (column, csv[column].dtype)
        elif kind == "b":
            assert typed == pyarrow.bool_(), (column, typed)
            assert csv[column].dtype.kind == "b", (column, csv[column].dtype)
        elif column in TEXT:
            assert typed == pyarrow.string(), (column, typed)
        if column == "why":
            continue  # it tells of ages, and each answer has a moment of its own
        for row, (stored, read) in enumerate(zip(table.column(column).to_pylist(), csv[column])):
            told = lines[row][column]
            if isinstance(told, (list, dict)):
                told = json.dumps(told, separators=(",", ":"))
                stored, read = json.dumps(json.loads(stored), separators=(",", ":")), told
            assert same(stored, told) and same(told, read), (column, row, stored, told, read)
    asked = duckdb.sql(f"select * from '{file}'")
    assert asked.columns == table.column_names
    assert asked.fetchall() == [tuple(row.values()) for row in table.to_pylist()]

assert pyarrow.parquet.read_table(folder / "none.parquet").num_rows == 0
assert duckdb.sql(f"select count(*) from '{folder}/none.parquet'").fetchall() == [(0,)]
assert len(pandas.read_csv(folder / "none.csv")) == 0
best = duckdb.sql(f"""select "model.name", max(value) from '{folder}/trials.parquet' group by 1 order by 1""")
assert best.fetchall() == [("swin_unet", 0.76), ("unet", 0.94)], best.fetchall()
print(f"read {len(pandas.read_parquet(folder / 'trials.parquet'))} trials")
