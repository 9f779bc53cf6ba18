// Reads Parquet files as hyparquet does; see test_readers.py for the arguments and the result.
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

async function summary(path) {
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path), compressors });
  const counts = {};
  const sums = {};
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      counts[name] ??= 0;
      if (value === null || value === undefined) continue;
      counts[name] += 1;
      if (typeof value === "bigint" || typeof value === "number") sums[name] = (sums[name] ?? 0) + Number(value);
    }
  }
  return { rows: rows.length, counts, sums };
}

const found = {};
for (const path of process.argv.slice(3)) found[path] = await summary(path);
console.log(JSON.stringify(found));
