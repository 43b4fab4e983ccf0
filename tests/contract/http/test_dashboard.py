"""The dashboard is small, whole, closed to markup from content, and brings no rights."""

import re
from dataclasses import replace

import pytest

from cortex.service.dashboard import pages

BYTES_MAX = 200_000


@pytest.fixture
def with_pages(served):
    served.edge = replace(served.edge, pages=pages())
    return served


async def test_its_files_are_open_small_and_of_one_origin(with_pages):
    total = 0
    async with with_pages.client(None) as http:
        for path in ("/", "/dashboard/app.js", "/dashboard/style.css"):
            answer = await http.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            total += len(answer.content)
    assert total < BYTES_MAX


def test_stored_text_never_becomes_markup():
    script = pages()["/dashboard/app.js"].body.decode()
    for dangerous in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ):
        assert dangerous not in script


def test_the_page_names_only_what_is_served_and_labels_its_fields():
    page = pages()["/"].body.decode()
    named = set(re.findall(r'(?:src|href)="(/[^"]*)"', page))
    assert named <= set(pages())
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    inputs = re.findall(r"<(?:input|select)[^>]*>", page)
    assert len(inputs) == len(re.findall(r"<label>", page))
    assert 'lang="en"' in page


async def test_it_has_no_rights_of_its_own(with_pages):
    async with with_pages.client(None) as http:
        assert (await http.get("/memory/stats")).status_code == 401
