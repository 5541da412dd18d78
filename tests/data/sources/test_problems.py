"""What is told of files that are not used: one line of each kind, and how much of it is listed."""

from __future__ import annotations

import pytest

from goingdeeper.data.sources import Problem, bounded, open_source, told
from goingdeeper.data.sources.problems import LISTED, Passed


def test_a_line_of_each_kind():
    hidden, unread = "a hidden file or folder", "cannot be read: Permission denied"
    problems = [
        Problem("cat/.x", hidden, "left out"),
        Problem("a", "a class folder without images", "left out of the classes"),
        Problem("cat/1.jpg", "/p: q/cat/1.jpg is truncated at 5 bytes", "left out"),
        Problem("1.png", "the same image is in another class: cat/1.png, 'cat'", "kept"),
        *(Problem(f"cat/.{n}", hidden, "left out") for n in range(1200)),
        Problem("cat/2.jpg", f"/p: q/cat/2.jpg {unread}", "left out"),
        Problem("2.png", "the same image is in another class: cat/9.png, 'cat'", "kept"),
        Problem("new\nline/.x", hidden, "kept"),
        Problem("cat/3.jpg", "cat/3.jpg is truncated at 5 bytes", "excluded"),
    ]
    assert told(problems) == [
        "left out: cat/.x: a hidden file or folder, and 1,200 more",
        "left out of the classes: a: a class folder without images",
        "left out: /p: q/cat/1.jpg is truncated at 5 bytes, and 1 more",
        "kept: 1.png: the same image is in another class: cat/1.png, 'cat', and 1 more",
        "kept: new\\nline/.x: a hidden file or folder",
        "excluded: cat/3.jpg is truncated at 5 bytes",
    ]


def test_unreadable_files_are_of_one_kind():
    problems = [
        Problem(f"cat/{n}.jpg", f"/p/cat/{n}.jpg is truncated at {n} bytes", "left out") for n in range(3)
    ]
    assert told(problems) == ["left out: /p/cat/0.jpg is truncated at 0 bytes, and 2 more"]


@pytest.mark.parametrize("more", [0, 1, 2345])
def test_the_first_of_a_kind_are_listed_and_all_are_counted(more):
    problems = [Problem(f".{n}", "a hidden file or folder", "left out") for n in range(LISTED + more)]
    others = [Problem("x", "a file beside the class folders", "left out")]
    found = bounded([*problems, *others])
    assert found[:LISTED] == problems[:LISTED]
    assert len(found) == LISTED + 1 + (more > 0)
    assert sum(problem.count for problem in found) == LISTED + more + 1
    assert bounded(bounded(found)) == found
    lines = [f"left out: .0: a hidden file or folder, and {LISTED + more - 1:,} more"]
    assert told(found) == [*lines, "left out: x: a file beside the class folders"]
    passed = Passed()
    for problem in problems:
        passed.add(problem.problem, problem.path)
    assert passed.problems() == [problem for problem in found if problem not in others]


def test_a_list_with_repeated_rows_gives_one_line(tmp_path, picture_folder):
    picture_folder({"a": 2, "b": 2}, "p")
    rows = [f"p/{name}/{n}.png,{name}" for name in "ab" for n in range(2)]
    (tmp_path / "l.csv").write_text("\n".join(["path,label", *rows * 300]))
    problems = open_source(tmp_path / "l.csv").problems
    assert len(problems) == LISTED + 1
    assert told(problems) == ["taken once: p/a/0.png: listed again: line 6, and 1,195 more"]
