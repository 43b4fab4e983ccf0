"""The dashboard is small, whole, closed to markup from content, and brings no rights."""

import re
from dataclasses import replace

import pytest

from cortex.bus.registry import EVENT_TYPES
from cortex.service.dashboard import pages

BYTES_MAX = 200_000


@pytest.fixture
def with_pages(served):
    served.edge = replace(served.edge, pages=pages())
    return served


async def test_its_files_are_open_small_and_of_one_origin(with_pages):
    total = 0
    async with with_pages.client(None) as http:
        for path in pages():
            answer = await http.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            total += len(answer.content)
    assert total < BYTES_MAX


def scripts() -> str:
    found = [page.body.decode() for path, page in pages().items() if "js" in path]
    assert len(found) == 7
    return "\n".join(found)


async def test_all_it_asks_for_is_in_the_api(with_pages):
    async with with_pages.client(None) as http:
        described = (await http.get("/openapi.json")).json()["paths"]
    called = re.findall(r'call\("([^"?]+)[^"]*"(, undefined|, )?', scripts())
    assert len(called) > 10
    for path, body in called:
        assert ("post" if body == ", " else "get") in described[path], path
    assert "/events/stream" in described
    assert "/events/stream" in scripts()


def test_all_that_scripts_name_is_on_the_page():
    page = pages()["/"].body.decode()
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'\$\("([^"]+)"\)', scripts())) <= set(ids)
    views = re.findall(r'data-view="([^"]+)"', page)
    assert views == re.findall(r'<section id="([^"]+)"', page)
    imported = re.findall(r'from "\./([^"]+)"', scripts())
    assert {f"/dashboard/{name}" for name in imported} <= set(pages())
    assert not re.search(r"https?://", scripts() + page)


def test_it_follows_every_event_there_is():
    listed = re.search(r"const EVENT_NAMES = \[(.*?)\];", scripts(), re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"([^"]+)"', listed[1])) == set(EVENT_TYPES)


def test_tables_and_sections_are_named_for_screen_readers():
    page = pages()["/"].body.decode()
    for tag in re.findall(r"<(?:table|section|nav|pre)[^>]*>", page):
        assert "aria-label" in tag, tag
    assert page.count("<main") == page.count("<header") == 1


def test_stored_text_never_becomes_markup():
    script = scripts()
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
    assert len(inputs) == len(re.findall(r"<label[ >]", page))
    assert 'lang="en"' in page


async def test_it_has_no_rights_of_its_own(with_pages):
    async with with_pages.client(None) as http:
        assert (await http.get("/memory/stats")).status_code == 401
