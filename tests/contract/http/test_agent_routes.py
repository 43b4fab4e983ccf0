import pytest

from cortex.foundation.bucket import Rate

GOAL = "Back up the database, then migrate it to PostgreSQL 16"
SOURCES = {"page": "The bridge was opened in 1932 and is 503 metres long."}
GOOD = "The bridge was opened in 1932. It is 503 metres long."


async def reflect(http, content=GOOD, status=200, **more):
    output = {"content": content, **more.pop("output", {})}
    body = {"output": output, "goal": "Describe the bridge", "context": SOURCES}
    answer = await http.post("/agents/reflect", json=body | more)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_plan_is_ordered_kept_and_read_again(http):
    answer = await http.post(
        "/agents/plan", json={"goal": GOAL, "context": {"database size": "4 TB"}}
    )
    plan = answer.json()
    assert [step["id"] for step in plan["steps"]] == ["s1", "s2", "s3"]
    assert plan["steps"][0]["description"].endswith("(given: database size: 4 TB)")
    assert plan["steps"][1]["dependencies"] == ["s1"]
    assert (plan["strategy"], plan["goal"], plan["method"]) == (
        "cot", GOAL, "decomposition",
    )  # fmt: skip
    assert 1 <= plan["complexity"] <= 10
    assert plan["branches"] == []
    kept = (await http.get(f"/memory/{plan['id']}")).json()
    assert kept["kind"] == "plan"
    assert kept["metadata"]["plan"]["steps"] == plan["steps"]
    assert kept["occurred_at"] == plan["created_at"]


async def test_a_tree_has_branches_and_names_the_best(http):
    answer = await http.post("/agents/plan", json={"goal": GOAL, "strategy": "tot"})
    plan = answer.json()
    assert 2 <= len(plan["branches"]) <= 5
    best = next(b for b in plan["branches"] if b["id"] == plan["best_branch_id"])
    assert best["steps"] == plan["steps"]
    assert all(0 <= branch["score"] <= 10 for branch in plan["branches"])


async def test_a_stored_plan_of_the_same_goal_is_used_again(http):
    first = (await http.post("/agents/plan", json={"goal": GOAL})).json()
    again = (await http.post("/agents/plan", json={"goal": GOAL})).json()
    assert (again["method"], again["memories"]) == ("recall", [first["id"]])


async def test_a_good_output_is_approved_and_a_bad_one_is_not(http):
    good = await reflect(http)
    assert good["approved"]
    assert good["quality_score"] >= 0.7
    assert good["issues"] == good["action_items"] == []
    bad = await reflect(http, GOOD.replace("503", "530"))
    assert not bad["approved"]
    [issue] = [one for one in bad["issues"] if one["kind"] != "goal_not_covered"]
    assert (issue["kind"], issue["evidence"]) == (
        "number_not_in_sources", "It is 530 metres long.",
    )  # fmt: skip
    assert bad["suggestions"]
    assert "Correct the number in: It is 530 metres long." in bad["action_items"]
    assert bad["another_iteration"]


async def test_attempts_are_compared(http):
    first = await reflect(http, GOOD.replace("503", "530"))
    assert first["progress"] is None
    second = await reflect(http, output={"iteration": 2}, previous_id=first["id"])
    assert second["progress"]["previous_id"] == first["id"]
    assert second["progress"]["score_change"] > 0
    resolved = second["progress"]["resolved"]
    assert "number_not_in_sources:It is 530 metres long." in resolved
    assert second["progress"]["remaining"] == []
    third = await reflect(http, "1932.", output={"iteration": 3})
    assert not third["another_iteration"]


async def test_a_reflection_is_a_memory(http):
    made = await reflect(http)
    kept = (await http.get(f"/memory/{made['id']}")).json()
    assert kept["kind"] == "reflection"
    assert kept["metadata"]["reflection"]["quality_score"] == made["quality_score"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("plan", {"goal": " "}, "goal"),
        ("plan", {"goal": "g" * 10_001}, "goal"),
        ("plan", {"goal": "g", "strategy": "graph"}, "strategy"),
        ("plan", {"goal": "g", "context": {"a": "x" * 20_000}}, "context"),
        ("plan", {"goal": "g", "steps": 3}, "steps"),
        ("reflect", {"output": {"content": " "}}, "output.content"),
        ("reflect", {"output": {"content": "x" * 50_001}}, "output.content"),
        ("reflect", {"output": {"content": "x", "iteration": 4}}, "output.iteration"),
        ("reflect", {"output": {"content": "x", "confidence": 2}}, "output.confidence"),
        ("reflect", {"output": {"content": "x"}, "criteria": ["c"] * 21}, "criteria"),
        ("reflect", {"output": {"content": "x"}, "criteria": [""]}, "criteria[0]"),
    ],
)
async def test_what_is_wrong_is_told_by_field(http, path, body, field):
    answer = await http.post(f"/agents/{path}", json=body)
    assert answer.status_code in {413, 422}
    assert answer.json()["error"]["field"] == field


async def test_another_kind_of_memory_is_no_former_attempt(http):
    plan = (await http.post("/agents/plan", json={"goal": GOAL})).json()
    told = await reflect(http, status=404, previous_id=plan["id"])
    assert told["error"]["field"] == "previous_id"
    await reflect(http, status=404, previous_id="unknown")


async def test_the_scope_is_agents_and_tenants_share_nothing(served, http):
    await http.post("/agents/plan", json={"goal": GOAL})
    async with served.client("reader-token-012345678") as reader:
        for path in ("plan", "reflect"):
            answer = await reader.post(f"/agents/{path}", json={"goal": GOAL})
            assert answer.status_code == 403
    async with served.client("other-token-0123456789") as other:
        plan = (await other.post("/agents/plan", json={"goal": GOAL})).json()
        assert (plan["method"], plan["memories"]) == ("decomposition", [])


async def test_both_have_rates_of_their_own(served):
    async with served.client() as http:
        plan = await http.post("/agents/plan", json={"goal": GOAL})
        assert plan.headers["x-ratelimit-limit"] == "10"
        judged = await http.post("/agents/reflect", json={"output": {"content": GOOD}})
        assert judged.headers["x-ratelimit-limit"] == "20"
    async with served.client(route_rates={"/agents/plan": Rate(1)}) as http:
        statuses = [
            (await http.post("/agents/plan", json={"goal": GOAL})).status_code
            for _ in range(2)
        ]
    assert statuses == [200, 429]
