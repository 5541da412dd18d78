"""Lists of images to leave out: what is written is read back, and mistakes are named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goingdeeper.data.exclude import exclude_list, list_record, read_exclude_list, without
from goingdeeper.data.sources import open_source
from goingdeeper.errors import DataError

ODD = [
    "a b.png",
    "#tag/1.png",
    '"quoted"',
    " space",
    "tab\t",
    "two\nlines",
    "ret\rurn",
    "\ufeffmark",
    "ü/é.png",
]


def test_comments_empty_lines_and_line_ends_do_not_count(tmp_path):
    file = tmp_path / "list"
    file.write_bytes(b"\xef\xbb\xbf# why\r\ncat/1.png\r\n\r\n   \n#cat/2.png\n  dog/3.png  \ncat/1.png")
    assert read_exclude_list(file) == ("cat/1.png", "dog/3.png")


def test_what_is_written_is_a_reason_above_a_path(tmp_path):
    text = exclude_list([("cat/1.png", "almost\none colour"), ("#2.png", "copy")], ["all of", "them"])
    assert text == '# all of\n# them\n# almost one colour\ncat/1.png\n# copy\n"#2.png"\n'


@settings(deadline=None, max_examples=200)
@given(paths=st.lists(st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), min_size=1), unique=True))
def test_any_path_comes_back(tmp_path_factory, paths):
    file = tmp_path_factory.getbasetemp() / "exclude.txt"
    file.write_bytes(exclude_list([(path, path) for path in paths]).encode())
    assert read_exclude_list(file) == tuple(paths)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a.png\n\xff\xfe", "not UTF-8"), (b'ok\n"open\n', r'list, line 2: "open is no JSON string')],
)
def test_damaged_lists_are_refused_with_their_name(tmp_path, content, said):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_exclude_list(tmp_path / "list")
    assert str(tmp_path / "list") in str(caught.value)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="nothing cannot be read: No such file"):
        read_exclude_list(tmp_path / "nothing")


def test_a_source_loses_the_images_of_a_list_and_no_others(picture_folder):
    source = open_source(picture_folder({"cat": 3, "dog": 2}))
    left = without(source, ["cat/1.png", "dog/0.png", "cat/1.png"], "my list")
    assert [item.path for item in left.items] == ["cat/0.png", "cat/2.png", "dog/1.png"]
    assert left.classes == source.classes
    with pytest.raises(DataError, match=r"my list: photos has no image 'cat/7\.png'.* such as cat/0\.png"):
        without(source, ["cat/1.png", "cat/7.png", "cat/8.png"], "my list")


def test_all_images_cannot_be_left_out(picture_folder):
    source = open_source(picture_folder({"cat": 1, "dog": 1}))
    with pytest.raises(DataError, match="my list names all images of photos; keep some"):
        without(source, ["cat/0.png", "dog/0.png"], "my list")


def test_the_record_is_of_the_paths_in_any_order():
    one, same, other = (list_record(paths) for paths in (["a", "b"], ["b", "a"], ["a\nb"]))
    assert one == same
    assert one["images"] == 2 and other["images"] == 1
    assert one["sha256"] != other["sha256"]
