import pytest

from shared.predictions import ResumeFile, ResumeFileError, ResumeToken


def token(number):
    return ResumeToken({"0": number}, {})


def test_a_token_comes_back(tmp_path):
    """A second run resumes from the token of the first; the first run finds none."""
    file = ResumeFile(tmp_path / "token")
    assert file.load() is None
    file.save(token(1))
    assert ResumeFile(tmp_path / "token").load() == token(1)
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_saving_often_costs_little(tmp_path):
    """Between two saves a second passes, unless the caller insists."""
    file = ResumeFile(tmp_path / "token")
    file.save_if_due(token(1))
    file.save_if_due(token(2))
    assert file.load() == token(1)
    file.save(token(3))
    assert file.load() == token(3)


def test_what_is_no_token_is_refused(tmp_path):
    """A file of something else is not overwritten silently: reading it is an error that names it."""
    (tmp_path / "token").write_text("{}")
    with pytest.raises(ResumeFileError, match="token cannot be read"):
        ResumeFile(tmp_path / "token").load()
    with pytest.raises(ResumeFileError, match="cannot be written: No such file"):
        ResumeFile(tmp_path / "nowhere" / "token").save(token(1))
