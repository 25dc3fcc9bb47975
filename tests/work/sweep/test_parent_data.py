"""What MLflow is told of a sweep's pictures and films."""

from samkit.media.sample_videos import load_sample_video
from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.film_cases import film_cases
from samkit.work.sweep.parent_data import MAX_DATASETS, datasets_of_sweep
from samkit.work.sweep.spec import FilmSource, PictureSource


def test_few_pictures_are_datasets_each_and_objects_on_one_are_one():
    coins, cat = datasets_of_sweep(find_cases((PictureSource(samples=("coins", "cat#4")),), 0))
    assert (coins.what, coins.name, coins.place) == ("picture", "coins", "sample:coins") and cat.name == "cat#4"
    assert coins.profile == {"width": 384, "height": 303} and len(coins.sha256) == 64


def test_many_are_one_whose_digest_follows_from_all():
    def of(*frames: int):
        (found,) = datasets_of_sweep(find_cases((PictureSource(samples=tuple(f"cat#{each}" for each in frames)),), 0))
        return found

    many = of(*range(MAX_DATASETS + 1))
    assert many.name == "13 pictures, from cat#0 on" and many.profile == {"count": 13}
    assert many == of(*range(MAX_DATASETS + 1)) and many.sha256 != of(*range(MAX_DATASETS), 39).sha256


def test_a_film_is_one_by_its_content():
    (film,) = datasets_of_sweep(film_cases((FilmSource(samples=("coin",)),), 0))
    assert (film.what, film.name, film.sha256) == ("film", "coin", load_sample_video("coin").sha256)


def test_a_picture_that_is_gone_is_still_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (gone,) = datasets_of_sweep(find_cases((PictureSource(files=(str(tmp_path / "a.png"),)),), 0))
    assert gone.name == "a.png" and gone.profile == {} and len(gone.sha256) == 64
