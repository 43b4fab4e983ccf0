"""Prompts a person can pick in a client."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from mcp import types

from cortex.foundation.errors import NotFound, ValidationError
from cortex.foundation.limits import QUERY_CHARACTERS_MAX
from cortex.security.scopes import Scope
from cortex.service.mcp.calling import Caller
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import ContextRequest

RECALL_TOKENS = 2_000
"""Tokens of what a prompt recalls: leaves room in any model's window."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    listed: types.Prompt
    render: Callable[[Caller, Mapping[str, str]], Awaitable[str]]


class Prompts:
    """Answer from memory, and save what matters."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases
        self._prompts = {prompt.listed.name: prompt for prompt in self._all()}

    def listed(self) -> list[types.Prompt]:
        """Return the prompts."""
        return [prompt.listed for prompt in self._prompts.values()]

    async def get(
        self, caller: Caller, name: str, given: Mapping[str, str]
    ) -> types.GetPromptResult:
        """Return the prompt with its blanks filled.

        Raises:
            NotFound: no such prompt.
            ValidationError: an argument is missing, unknown or too long.
        """
        prompt = self._prompts.get(name)
        if prompt is None:
            known = ", ".join(self._prompts)
            raise NotFound("no such prompt", hint=f"There are {known}.")
        _check(prompt.listed.arguments or [], given)
        text = await prompt.render(caller, given)
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(
            description=prompt.listed.description, messages=[message]
        )

    def _all(self) -> tuple[_Prompt, ...]:
        return (
            _Prompt(
                types.Prompt(
                    name="answer_from_memory",
                    title="Answer from memory",
                    description="Answer a question from what is remembered about it.",
                    arguments=[
                        types.PromptArgument(
                            name="question", description="The question.", required=True
                        ),
                        types.PromptArgument(
                            name="namespace", description="Partition of memory."
                        ),
                    ],
                ),
                self._answer,
            ),
            _Prompt(
                types.Prompt(
                    name="save_what_matters",
                    title="Save what matters",
                    description="Store the lasting facts of this conversation.",
                    arguments=[
                        types.PromptArgument(
                            name="about", description="Only what concerns this."
                        )
                    ],
                ),
                self._save,
            ),
        )

    async def _answer(self, caller: Caller, given: Mapping[str, str]) -> str:
        caller = caller.doing(Scope.CONTEXT, "build")
        question = given["question"]
        built = await self._cases.build_context(
            caller.namespace(given.get("namespace") or None),
            ContextRequest(question, None, model="", max_tokens=RECALL_TOKENS),
            caller.context,
        )
        if built.low_confidence or not built.text:
            return (
                f"{question}\n\nNothing remembered seems to answer this. Say so, then "
                "answer from what you know, marked as such."
            )
        return (
            f"Answer from these memories, and name what they leave open.\n\n"
            f"{built.text}\n\nQuestion: {question}"
        )

    async def _save(self, _caller: Caller, given: Mapping[str, str]) -> str:
        about = given.get("about")
        scope = f" that concern {about}" if about else ""
        return (
            f"Go through this conversation and store the facts{scope} that will still "
            "matter later: decisions, preferences, names, dates, open questions. Call "
            "the memory store tool once a fact, each a full sentence with names "
            "instead of pronouns and dates instead of 'tomorrow'. Leave out small "
            "talk and secrets. Then list what you stored."
        )


def _check(known: list[types.PromptArgument], given: Mapping[str, str]) -> None:
    names = {argument.name for argument in known}
    for name in given:
        if name not in names:
            raise ValidationError(f"{name[:80]!r} is not an argument of this prompt")
    for argument in known:
        value = given.get(argument.name, "")
        if argument.required and not value.strip():
            raise ValidationError(f"{argument.name} is required", field=argument.name)
        if len(value) > QUERY_CHARACTERS_MAX:
            raise ValidationError(
                f"{argument.name} has more than {QUERY_CHARACTERS_MAX} characters",
                field=argument.name,
                limit=QUERY_CHARACTERS_MAX,
            )
