"""What OAuth clients read before they ask for a token."""

import pytest

from cortex.foundation.errors import ValidationError
from cortex.security.jwt import ClaimRules
from cortex.security.oauth import ProtectedResource

RULES = ClaimRules("corp", "https://idp.example", frozenset({"https://m.example/mcp"}))
MCP = ProtectedResource.of("https://m.example/mcp", [RULES], {"memory", "context"})


def test_the_document_names_the_resource_and_who_gives_tokens():
    assert MCP.document() == {
        "resource": "https://m.example/mcp",
        "authorization_servers": ["https://idp.example"],
        "scopes_supported": ["context", "memory"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Cortex",
    }


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://m.example", "https://m.example/.well-known/oauth-protected-resource"),
        (
            "https://m.example/mcp",
            "https://m.example/.well-known/oauth-protected-resource/mcp",
        ),
        (
            "http://127.0.0.1:4949/mcp",
            "http://127.0.0.1:4949/.well-known/oauth-protected-resource/mcp",
        ),
    ],
)
def test_the_document_has_its_well_known_place(resource, url):
    assert ProtectedResource.of(resource, [RULES], ()).metadata_url == url


def test_a_challenge_leads_to_the_document():
    assert MCP.challenge(error="invalid_token") == (
        'Bearer error="invalid_token", resource_metadata='
        '"https://m.example/.well-known/oauth-protected-resource/mcp"'
    )
    assert 'scope="memory"' in MCP.challenge(error="insufficient_scope", scope="memory")
    assert MCP.challenge(scope='x" , y="') == MCP.challenge()


@pytest.mark.parametrize(
    "resource", ["http://m.example", "https://", "https://m.example/#x", "mcp", 'h"t']
)
def test_addresses_that_are_not_allowed(resource):
    with pytest.raises(ValidationError):
        ProtectedResource.of(resource, [RULES], ())
    with pytest.raises(ValidationError):
        ProtectedResource("https://m.example", (), ())
