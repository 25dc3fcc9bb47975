"""Tags on one line come back as they were, whatever is in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from samkit.errors import BadInput
from samkit.tracking.store.tags import user_tags
from samkit.ui.runs.tag_line import read_tag_line, tag_line

TEXTS = some.text(some.one_of(some.characters(exclude_categories=["Cs"]), some.sampled_from(' ,="\\\n')), max_size=12)


@given(tags=some.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4))
def test_every_tag_comes_back(tags):
    assert read_tag_line(tag_line(tags)) == user_tags(tags)


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        ("keeper, figure=3", {"keeper": "", "figure": "3"}),
        (" figure = 3 ,, keeper,\n", {"figure": "3", "keeper": ""}),
        ('k="a, b=c", x:y=1', {"k": "a, b=c", "x:y": "1"}),
        ("formula=a=b, empty=", {"formula": "a=b", "empty": ""}),
        (' , "', None),
        ("=x", None),
        ('k="a" b', None),
        (r'k="\x"', None),
        ("", {}),
    ],
)
def test_what_a_person_writes(line, tags):
    if tags is None:
        with pytest.raises(BadInput, match="can't be read"):
            read_tag_line(line)
    else:
        assert read_tag_line(line) == tags
