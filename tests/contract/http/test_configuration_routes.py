"""/config at the edge: who may, what is answered, and what is never half done."""

import asyncio

TOKENS = (
    '{"chief": {"token": "chief-token-0123456789", "scopes": ["config"]},'
    ' "clerk": {"token": "clerk-token-0123456789", "scopes": ["admin", "memory"]},'
    ' "other": {"token": "other-token-0123456789", "scopes": ["*"],'
    '           "tenant": "acme"}}'
)
BODIES = {
    ("GET", "/config"): None,
    ("PATCH", "/config"): {"set": {"log_level": "debug"}},
    ("POST", "/config/rollback"): {},
    ("GET", "/config/history"): None,
}


async def settings(http):
    answer = await http.get("/config")
    assert answer.status_code == 200
    return {one["name"]: one for one in answer.json()["settings"]}


async def test_every_setting_tells_its_layer_and_no_secret_its_value(http):
    found = await settings(http)
    assert found["log_level"]["source"] == "default"
    assert found["tokens"]["secret"]
    assert found["tokens"]["given"]
    assert found["tokens"]["value"] is None


async def test_a_change_is_answered_with_before_and_after_and_tagged(http):
    body = {"set": {"trace": {"ratio": 0.5}}, "reason": "a closer look"}
    answer = await http.patch("/config", json=body)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'
    assert answer.json() == {
        "revision": 1,
        "changed": [{"name": "trace.ratio", "before": 0.1, "after": 0.5}],
    }
    shown = await http.get("/config")
    assert shown.headers["etag"] == '"1"'
    assert (await settings(http))["trace.ratio"]["source"] == "runtime"
    [told] = (await http.get("/config/history")).json()["revisions"]
    assert told["actor"] == "admin"
    assert told["reason"] == "a closer look"
    assert told["set"] == {"trace.ratio": 0.5}


async def test_what_is_so_already_makes_no_revision(http):
    body = {"set": {"log_level": "debug"}}
    assert (await http.patch("/config", json=body)).json()["revision"] == 1
    again = await http.patch("/config", json=body)
    assert again.json() == {"revision": 1, "changed": []}


async def test_one_wrong_field_refuses_all_of_them(http):
    body = {"set": {"log_level": "debug", "trace": {"ratio": 7}}}
    answer = await http.patch("/config", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["field"], error["limit"]) == ("trace.ratio", 1)
    assert (await settings(http))["log_level"]["value"] == "info"


async def test_a_change_that_cannot_be_meant_is_refused(http):
    for body in (
        {"set": {"nothing": 1}},
        {"reset": ["nothing"]},
        {"set": {"log_level": "debug"}, "reset": ["log_level"]},
        {"set": []},
        {"sets": {}},
        {"reason": "x" * 201},
    ):
        assert (await http.patch("/config", json=body)).status_code == 422


async def test_a_reset_gives_the_layer_below_back(http):
    await http.patch("/config", json={"set": {"log_level": "debug"}})
    answer = await http.patch("/config", json={"reset": ["log_level"]})
    assert answer.json()["changed"] == [
        {"name": "log_level", "before": "debug", "after": "info"}
    ]
    assert (await settings(http))["log_level"]["source"] == "default"


async def test_of_two_changes_of_one_revision_one_is_refused(http):
    both = await asyncio.gather(
        *(
            http.patch(
                "/config",
                json={"set": {"trace": {"ratio": ratio}}},
                headers={"If-Match": '"0"'},
            )
            for ratio in (0.2, 0.3)
        )
    )
    assert sorted(answer.status_code for answer in both) == [200, 412]


async def test_a_rollback_is_a_revision_of_its_own(http):
    for level in ("debug", "warning"):
        await http.patch("/config", json={"set": {"log_level": level}})
    answer = await http.post("/config/rollback", json={"reason": "too quiet"})
    assert answer.json()["revision"] == 3
    assert (await settings(http))["log_level"]["value"] == "debug"
    bare = await http.post("/config/rollback", json={"revision": 0})
    assert bare.json()["changed"][0]["after"] == "info"
    page = (await http.get("/config/history", params={"limit": 2})).json()
    assert [(r["kind"], r["target"]) for r in page["revisions"]] == [
        ("rolledback", 0),
        ("rolledback", 1),
    ]
    rest = await http.get("/config/history", params={"before": page["next"]})
    assert [r["revision"] for r in rest.json()["revisions"]] == [2, 1]


async def test_there_must_be_something_to_go_back_to(http):
    for body in ({}, {"revision": 0}, {"revision": 5}):
        answer = await http.post("/config/rollback", json=body)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "REVISION_NOT_FOUND"


async def test_what_fails_to_apply_is_undone_and_told(served, http):
    configuration = served.world.use_cases.configuration
    configuration._tuning.broken.add("warning")
    await http.patch("/config", json={"set": {"log_level": "debug"}})
    answer = await http.patch("/config", json={"set": {"log_level": "warning"}})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "SETTINGS_NOT_APPLIED"
    assert (await settings(http))["log_level"]["value"] == "debug"
    last, *_ = (await http.get("/config/history")).json()["revisions"]
    assert (last["revision"], last["kind"], last["target"]) == (3, "rolledback", 1)
    assert "it is broken" in last["reason"]


async def test_settings_are_the_operators(serve_with):
    served = serve_with(TOKENS)
    async with served.client("chief-token-0123456789") as http:
        for token in ("clerk", "other"):
            bearer = {"Authorization": f"Bearer {token}-token-0123456789"}
            for (method, path), body in BODIES.items():
                answer = await http.request(method, path, json=body, headers=bearer)
                assert answer.status_code == 403
        assert (await settings(http))["log_level"]["value"] == "info"
