"""Named limits that more than one room must agree on, each with unit and reason."""

MEMORY_ITEMS_PER_REQUEST_MAX = 500
"""Items in one POST /memory: bounds the time one request holds the writer."""

CONTENT_CHARACTERS_MAX = 500_000
"""Characters of one memory: a pasted log or a long document, a minute to embed."""

OPTIMIZE_ITEM_CHARACTERS_MAX = 100_000
"""Characters of one item of POST /context/optimize."""

QUERY_CHARACTERS_MAX = 10_000
"""Characters of a search query."""

QUERY_BYTES_MAX = 10_240
"""UTF-8 bytes of a search query."""

TOP_K_MAX = 100
"""Hits of one search."""

BODY_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of a JSON request body; imports stream and have no such bound."""

JSON_DEPTH_MAX = 32
"""Nesting of user-given JSON: deeper values hurt every consumer down the line."""

METADATA_BYTES_MAX = 16_384
"""Serialized bytes of one item's metadata."""

TAGS_MAX = 64
"""Tags on one memory."""

TAG_CHARACTERS_MAX = 128
"""Characters of one tag."""

NAME_CHARACTERS_MAX = 200
"""Characters of an author, kind, session, user or agent id."""

MOMENT_MIN = -62_135_596_800.0
"""Year 1, in epoch seconds: what calendars of clients can show."""

MOMENT_MAX = 253_402_300_799.0
"""End of the year 9999, in epoch seconds."""

MEMORY_TTL_SECONDS_MAX = 10 * 366 * 86_400
"""Ten years: longer is not a time to live."""

JSON_INTEGER_MAX = 2**53 - 1
"""Integers beyond lose digits in other JSON readers (RFC 8785)."""

STATE_VALUE_BYTES_MAX = 262_144
"""Serialized bytes of one hot-state value."""

IMPORT_LINE_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of one line of an import stream."""

CORRELATION_ID_CHARACTERS_MAX = 128
"""Characters of an accepted X-Correlation-ID."""
