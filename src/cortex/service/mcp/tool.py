"""What a tool is, and how its schemas are written for agents."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mcp import types
from pydantic import ValidationError as PydanticError

from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import JSON_DEPTH_MAX
from cortex.security.scopes import Scope
from cortex.service.faults import invalid_input
from cortex.service.fields import Wire
from cortex.service.mcp.calling import Caller
from cortex.service.nesting import all_finite, deeper_than

A = TypeVar("A", bound=Wire)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gives back.

    Attributes:
        content: the JSON object for programs; keeps to the tool's answer model.
        text: the same for a model to read, short.
    """

    content: Mapping[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """One tool.

    Attributes:
        name: dotted; ``plain`` has underscores for clients that know no dots.
        description: what it does, when to use it and what comes back.
        scope: that the caller must hold; None for all.
        verb: what it does, as policies name it and the HTTP edge does.
        writes: whether anything is changed by it.
        destroys: whether something is lost by it.
        repeatable: whether calling it again with the same changes nothing more.
    """

    name: str
    title: str
    description: str
    arguments: type[A]
    answer: type[Wire]
    scope: Scope | None
    verb: str
    run: Callable[[Caller, A], Awaitable[Answer]]
    writes: bool = False
    destroys: bool = False
    repeatable: bool = True

    @property
    def plain(self) -> str:
        """Return the name without dots."""
        return self.name.replace(".", "_")

    async def call(self, caller: Caller, arguments: Mapping[str, Any]) -> Answer:
        """Check the scope and the arguments, then run.

        Raises:
            CortexError: as the HTTP edge would refuse the same.
        """
        if self.scope is not None:
            caller = caller.doing(self.scope, self.verb)
        _check_json(arguments)
        try:
            given = self.arguments.model_validate(dict(arguments))
        except PydanticError as error:
            raise invalid_input(error.errors(include_input=False)) from None
        return await self.run(caller, given)

    def described(self, *, plain: bool) -> types.Tool:
        """Return the tool as it is listed."""
        return types.Tool(
            name=self.plain if plain else self.name,
            title=self.title,
            description=self.description,
            input_schema=schema_of(self.arguments),
            output_schema=schema_of(self.answer),
            annotations=types.ToolAnnotations(
                title=self.title,
                read_only_hint=not self.writes,
                destructive_hint=self.destroys,
                idempotent_hint=self.repeatable,
                open_world_hint=False,
            ),
        )


def _check_json(arguments: Mapping[str, Any]) -> None:
    """Refuse what the HTTP edge's parser would: the protocol's takes more."""
    if deeper_than(arguments, JSON_DEPTH_MAX):
        raise ValidationError(
            f"the arguments are nested deeper than {JSON_DEPTH_MAX} levels",
            field="arguments",
            limit=JSON_DEPTH_MAX,
        )
    if not all_finite(arguments):
        raise ValidationError(
            "the arguments hold a number that is not finite", field="arguments"
        )


def schema_of(model: type[Wire]) -> dict[str, Any]:
    """Return the JSON Schema of a model in its plainest form.

    References are put in place and generated titles left out: several clients hand
    the schema to a language model whose interface knows neither.
    """
    schema = model.model_json_schema(mode="validation")
    definitions = schema.pop("$defs", {})
    plain: dict[str, Any] = _plain(schema, definitions)
    plain.setdefault("properties", {})
    return plain


def _plain(value: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_plain(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if reference is not None:
        found = definitions[reference.rpartition("/")[2]]
        rest = {k: v for k, v in value.items() if k != "$ref"}
        return _plain({**found, **rest}, definitions)
    return {
        key: _named(inner, definitions)
        if key == "properties"
        else _plain(inner, definitions)
        for key, inner in value.items()
        if key != "title" or not isinstance(inner, str)
    }


def _named(properties: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Return the properties; their names, such as ``title``, are no keywords."""
    return {name: _plain(inner, definitions) for name, inner in properties.items()}
