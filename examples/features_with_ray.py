"""Features of a source by Ray, a task for each shard.

python examples/features_with_ray.py 64 IMAGES LABELS --out features
"""

import argparse
import subprocess
import sys

import ray


@ray.remote(num_cpus=1)
def shard(words: list[str], number: int, count: int) -> str:
    command = [
        sys.executable,
        "-m",
        "labelclean",
        "features",
        *words,
        "--shard",
        f"{number}/{count}",
    ]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=int, help="how many")
    options, words = parser.parse_known_args()  # the other words are those of labelclean features
    tasks = [shard.remote(words, k + 1, options.shards) for k in range(options.shards)]
    print("".join(ray.get(tasks)), end="")
