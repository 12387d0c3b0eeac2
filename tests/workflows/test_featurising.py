"""labelclean features: shards of features, and filter on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from s3_server import bucket_of
from source_data import pack
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.config import RuntimeConfig
from labelclean.config.source_options import SourceOptions
from labelclean.data import feature_shards, large_arrays
from labelclean.data.feature_shards import Shard
from labelclean.data.looks import SIDE, Looks
from labelclean.errors import ConfigError, LabelcleanError
from labelclean.judging import outliers
from labelclean.learning import embedding, feature_files, feature_store
from labelclean.progress import Reporter
from labelclean.report.report import Report
from labelclean.workflows import reported
from labelclean.workflows.featurising import write_source_features


@pytest.fixture
def world(colour_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty images; one is broken, and one more that the table names is not there."""
    monkeypatch.setenv("LABELCLEAN_CACHE", str(colour_folder / "cache"))
    (colour_folder / "images" / "11.png").write_bytes(b"no image")
    with open(colour_folder / "labels.csv", "a") as table:
        table.write("gone.png,red\n")
    return colour_folder


def _run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def _write(world: Path, *words: object) -> Any:
    source = ("features", world / "images", world / "labels.csv", "--out", world / "features")
    return _run(*source, "--device", "cpu", "--quiet", *words)


def _filter(world: Path, out: str, *words: object) -> pd.DataFrame:
    done = _run(
        *("filter", world / "images", world / "labels.csv", "--out", world / out),
        *("--device", "cpu", "--quiet", "--force", *words),
    )
    assert done.exit_code == 0, done.output
    return Report.read(world / out).frame


def test_filter_on_the_shards_judges_as_filter_on_the_images(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outliers, "LEAST_KNOWN", 20)
    (world / "images" / "40.png").write_bytes((world / "images" / "03.png").read_bytes())
    (world / "images" / "41.png").write_bytes((world / "images" / "03.png").read_bytes())
    for number in (3, 1, 2):
        done = _write(world, "--shard", f"{number}/3")
        assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (world / "features").glob("*.parquet")) == [
        f"features-{number}-of-3.parquet" for number in (1, 2, 3)
    ]
    assert not list((world / "cache" / "shards").iterdir())
    whole = _filter(world, "whole.csv", "--views", "features")
    for path in (world / "images").iterdir():
        path.unlink()  # no image is opened
    of_shards = _filter(world, "shards.csv", "--features", world / "features")
    same = ["image", "given_label", "suggested_label", "is_label_issue", "label_score", "status"]
    same += ["no_class_score"]
    assert whole["no_class_score"].notna().any()
    pd.testing.assert_frame_equal(of_shards[same], whole[same])
    copies = of_shards[of_shards["image"].isin(["40.png", "41.png"])]
    assert copies["status"].tolist() == 2 * ["duplicate_of:03.png"]
    broken = of_shards[of_shards["image"].isin(["11.png", "gone.png"])]
    assert broken["status"].tolist() == ["unreadable", "missing"]
    assert (broken["reason"] != "").all()


def test_a_file_holds_a_row_for_each_image_and_what_it_was_made_of(world: Path):
    done = _write(world, "--json")
    facts = json.loads(done.stdout)
    assert (facts["images"], facts["unreadable"], facts["width"]) == (61, 2, 3104)
    table = pq.read_table(facts["features"])
    assert table.column_names == [
        *("image", "label", "split", "status", "reason", "content", "phash", "grey", "features")
    ]
    assert table["label"].to_pylist()[:4] == ["red", "green", "blue", "red"]
    is_null = table["features"].is_null().to_pylist()
    assert [name for name, no in zip(table["image"].to_pylist(), is_null, strict=True) if no] == [
        "11.png",
        "gone.png",
    ]
    origin = feature_shards.origin_of(Path(facts["features"]))
    assert origin is not None and (origin.rows, origin.shards) == (61, 1)
    assert feature_shards.last_width_of(Path(facts["features"])) == 1280
    again = _write(world)
    assert again.exit_code == 2 and "--force" in again.stderr


def test_a_shard_that_was_stopped_goes_on_where_it_was(
    world: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feature_store, "BLOCK", 8)
    by_torch, seen = embedding._by_torch, []

    def counted(*given: Any) -> Any:
        embed = by_torch(*given)

        def once(pixels: np.ndarray) -> np.ndarray:
            if len(seen) == 2 and not is_resumed:
                raise KeyboardInterrupt
            seen.append(len(pixels))
            return embed(pixels)

        return once

    is_resumed = False
    monkeypatch.setattr(embedding, "_by_torch", counted)

    def write() -> None:
        write_source_features(
            world / "images",
            out=world / "features",
            shard="1/2",
            options=SourceOptions(labels=world / "labels.csv"),
            where=RuntimeConfig(device="cpu"),
            reporter=Reporter(),
        )

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list((world / "features").glob("*.parquet"))
    is_resumed = True
    write()
    assert sum(seen) == 30  # of 31 rows one is broken, and none was looked at twice


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda place: (place / "features-2-of-2.parquet").unlink(), "shard 2 of 2 is missing"),
        (
            lambda place: (place / "features-2-of-2.parquet").rename(
                place / "features-2-of-3.parquet"
            ),
            "holds shards of 2 and 3",
        ),
        (
            lambda place: (place / "features-2-of-2.parquet").write_bytes(b"x"),
            "cannot be read",
        ),
        (lambda place: [path.unlink() for path in place.iterdir()], "holds no features-1-of-N"),
    ],
)
def test_shards_that_do_not_belong_together_are_refused(world: Path, spoil, line: str):
    for number in (1, 2):
        _write(world, "--shard", f"{number}/2")
    spoil(world / "features")
    done = _run("filter", world / "images", world / "labels.csv", "--features", world / "features")
    assert done.exit_code == 2 and line in " ".join(done.stderr.split())


def test_shards_of_another_network_are_refused(world: Path):
    _write(world, "--shard", "1/2")
    _write(world, "--shard", "2/2", "--mirror")
    done = _run("filter", world / "images", world / "labels.csv", "--features", world / "features")
    assert done.exit_code == 2
    assert "is of another network, image size or source" in " ".join(done.stderr.split())


def test_bad_input_leaves_no_folder(world: Path):
    done = _run("features", world / "nowhere", "--out", world / "new")
    assert done.exit_code == 2 and "no such file or folder" in done.stderr
    assert not (world / "new").exists()


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_is_one_of_so_many(text: str):
    with pytest.raises(ConfigError, match="--shard is"):
        Shard.parse(text)


def test_all_shards_together_are_all_rows():
    for count in (1, 3, 7, 64):
        parts = [Shard(number=k + 1, count=count).rows(50) for k in range(count)]
        assert np.concatenate(parts).tolist() == list(range(50))
    assert Shard(number=3, count=64).name == "features-03-of-64.parquet"


def test_features_beyond_memory_give_the_same_report(world: Path, monkeypatch: pytest.MonkeyPatch):
    _write(world)
    first = _filter(world, "one.csv", "--features", world / "features")
    made = []

    def mapped(*given: Any) -> Any:
        made.append(large_arrays.nan_array(*given))
        return made[-1]

    monkeypatch.setattr(large_arrays, "IN_MEMORY", 0)
    monkeypatch.setattr(feature_files, "nan_array", mapped)
    second = _filter(world, "two.csv", "--features", world / "features")
    assert isinstance(made[0], np.memmap)
    assert not list((world / "cache" / "features").glob("*.features"))  # the file has no name
    pd.testing.assert_frame_equal(first, second)


SAME = ["given_label", "suggested_label", "is_label_issue", "label_score", "status"]


def test_filter_on_the_folder_alone_judges_as_filter_on_the_images(world: Path):
    for number in (1, 2):
        assert _write(world, "--shard", f"{number}/2").exit_code == 0
    whole = _filter(world, "whole.csv", "--views", "features")
    foretold = _run("filter", world / "features", "--dry-run", "--device", "cpu")
    assert "heads on the features" in foretold.stdout and "60 ok" not in foretold.stdout
    assert "on 59 images" in foretold.stdout and "61 (" in foretold.stdout
    words = ("filter", world / "features", "--out", world / "alone.csv", "--device", "cpu")
    done = _run(*words)
    assert done.exit_code == 0 and "no image" not in done.output, done.output
    alone = Report.read(world / "alone.csv")
    pd.testing.assert_frame_equal(alone.frame[["image", *SAME]], whole[["image", *SAME]])
    shown = _run("show", world / "alone.csv", "--limit", "1", "--json")  # and its images are found
    assert json.loads(shown.stdout)["rows"]
    assert reported.read_source(alone).images.read(0) == (world / "images/00.png").read_bytes()
    refused = _run(*words, "--force", "--views", "scratch")
    assert refused.exit_code == 2 and "--views scratch does" in refused.stderr
    refused = _run("inspect", world / "features")
    assert refused.exit_code == 2 and "these are features alone" in refused.stderr


@pytest.fixture
def shards(world: Path) -> Path:
    """The images of the world in four tar files, labelled by .cls files."""
    labels = dict(line.split(",") for line in (world / "labels.csv").read_text().split()[1:61])
    for number in range(4):
        contents: dict[str, bytes] = {}
        for name in list(labels)[15 * number : 15 * number + 15]:
            contents[name] = (world / "images" / name).read_bytes()
            contents[name.replace(".png", ".cls")] = labels[name].encode()
        pack(world / "wds" / f"train-{number:06}.tar", contents)
    return world / "wds"


def _each_file(shards: Path, source: str, *words: object, **environment: str) -> Any:
    """Facts of labelclean features, in a process of its own."""
    return json.loads(_featurise(shards, source, *words, **environment).stdout)


def _featurise(
    shards: Path,
    source: str,
    *words: object,
    launch: tuple[str, ...] = ("-m", "labelclean"),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    out = ("--out", shards.parent / "features", "--device", "cpu", "--json")
    done = subprocess.run(
        [sys.executable, *launch, "features", source, *map(str, (*out, *words))],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done


def test_each_file_of_a_bucket_has_its_features_whoever_computes_them(shards: Path):
    with bucket_of(shards) as s3:
        pattern = "s3://bucket/wds/train-{000000..000003}.tar"
        facts = _each_file(shards, pattern, "--shard", "2/3", **s3)
        assert (facts["files"], facts["kept"], facts["images"]) == (1, 0, 15)
        launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "labelclean")
        shared = _featurise(shards, pattern, launch=launch, **s3)
        facts = [json.loads(line) for line in shared.stdout.splitlines()]
        assert sorted((each["files"], each["kept"]) for each in facts) == [(1, 1), (2, 0)]
        assert sum(each["unreadable"] for each in facts) == 1
        facts = _each_file(shards, pattern, **s3)
        assert (facts["files"], facts["kept"]) == (0, 4)
        assert not list((shards.parent / "cache" / "fetched").glob(f"{32 * '?'}/*/*.tar"))
        done = subprocess.run(
            [sys.executable, "-m", "labelclean", "filter", shards.parent / "features"]
            + ["--out", shards.parent / "shards.csv", "--device", "cpu"],
            capture_output=True,
            text=True,
            env={**os.environ, **s3},
        )
        assert done.returncode == 0, done.stderr
        report = Report.read(shards.parent / "shards.csv")
        read = (
            "import sys; from labelclean import Report; "
            "from labelclean.workflows.reported import read_source; "
            "sys.stdout.buffer.write(read_source(Report.read(sys.argv[1])).images.read(59))"
        )
        words = [sys.executable, "-c", read, str(shards.parent / "shards.csv")]
        image = subprocess.run(words, capture_output=True, env={**os.environ, **s3})
        assert image.stdout == (shards.parent / "images" / "59.png").read_bytes()
    _write(shards.parent)
    world = shards.parent
    (world / "features" / "features-1-of-1.parquet").rename(world / "one.parquet")
    whole = _filter(world, "whole.csv", "--features", world / "one.parquet")[:60]
    np.testing.assert_array_equal(
        report.frame["image"],
        [f"train-{row // 15:06}/{name}" for row, name in enumerate(whole["image"])],
    )
    # the last table names one image more, so heads are drawn otherwise: nearly the same is learned
    assert (report.frame["status"] == whole["status"]).all()
    assert (report.frame["suggested_label"] == whole["suggested_label"]).mean() > 0.9


def test_a_table_labels_what_files_of_features_hold(shards: Path):
    world = shards.parent
    _each_file(shards, str(shards / "train-*.tar"))
    done = _run(
        *("filter", world / "features", world / "labels.csv", "--out", world / "r.csv"),
        *("--device", "cpu", "--quiet"),
    )
    assert done.exit_code == 0, done.output
    frame = Report.read(world / "r.csv").frame.set_index("image")
    assert frame["given_label"].tolist()[:3] == ["red", "green", "blue"]
    assert frame.loc["gone.png", "status"] == "missing"
    assert frame.loc["gone.png", "reason"] == "no features of it"


def test_files_of_features_that_do_not_say_what_images_hold_are_read_too(world: Path):
    (world / "images" / "40.png").write_bytes((world / "images" / "03.png").read_bytes())
    assert _write(world, "--shard", "1/1").exit_code == 0
    (path,) = (world / "features").glob("*.parquet")
    assert feature_shards.identical([path]) == [["03.png", "40.png"]]
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 0), world / "empty.parquet")  # more shards than images
    assert feature_shards.identical([world / "empty.parquet", path]) == [["03.png", "40.png"]]
    pq.write_table(table.drop_columns("content"), path)
    assert feature_shards.identical([path]) == []
    frame = _filter(world, "r.csv", "--features", path)
    assert set(frame["status"]) == {"ok", "unreadable", "missing"}


def test_the_same_image_in_two_files_is_refused(shards: Path):
    world = shards.parent
    _each_file(shards, str(shards / "train-{000000,000001}.tar"))
    folder = world / "features"
    first = (folder / "features-1-of-2.parquet").read_bytes()
    (folder / "features-2-of-2.parquet").write_bytes(first)
    done = _run("filter", folder, "--out", world / "r.csv")
    assert done.exit_code == 2 and "15 images of one name in two files" in done.stderr


def test_a_file_of_an_older_labelclean_needs_the_images(world: Path):
    assert _write(world).exit_code == 0
    path = world / "features" / "features-1-of-1.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["label", "split"]), path)
    done = _run("filter", world / "features", "--out", world / "r.csv")
    assert done.exit_code == 2 and "as an older labelclean wrote it" in done.stderr


def test_moments_by_blocks_are_those_of_all_rows(monkeypatch: pytest.MonkeyPatch):
    from labelclean.learning import heads

    values = np.random.default_rng(0).normal(50, 3, (1000, 5)).astype(np.float16)
    values[:, 2] = 7
    rows = np.arange(0, 1000, 2)
    whole = heads.moments_of(values, rows)
    monkeypatch.setattr(heads, "ROWS_AT_ONCE", 100)
    monkeypatch.setattr(large_arrays, "ROWS_AT_ONCE", 100)
    for one, other in zip(whole, heads.moments_of(values, rows), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_names_that_are_no_unicode_are_refused_in_one_line(tmp_path: Path):
    origin = feature_shards.Origin(backbone="b", digest="d", image="i", rows=1, shards=1)
    features = np.zeros((1, 4), np.float16)
    grey = np.zeros((1, SIDE, SIDE), np.uint8)
    looks = Looks(grey=grey, hashes=np.zeros(1, np.uint64), is_detailed=False)
    rows = feature_shards.ShardRows(
        paths=["\udcff.png"], labels=[None], splits=[None], status=["ok"], reasons=[""]
    )
    with pytest.raises(LabelcleanError, match="no broken UTF-8"):
        feature_shards.write_features(
            tmp_path / "x.parquet", origin, rows, np.zeros((1, 2), np.uint64), features, looks
        )


@pytest.mark.slow
def test_ray_computes_the_shards(world: Path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    script = Path(__file__).parents[2] / "examples" / "features_with_ray.py"
    words = [world / "images", world / "labels.csv", "--out", world / "features", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, script, "2", *map(str, words), "--quiet"],
        env={**os.environ, "LABELCLEAN_CACHE": str(world / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [line[:12] for line in done.stdout.splitlines()] == ["shard 1 of 2", "shard 2 of 2"]
    assert len(list((world / "features").glob("*.parquet"))) == 2
