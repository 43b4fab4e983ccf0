"""Which tokenizer a model name stands for.

Only names whose tokenizer is known for certain are given an exact family: a
fine-tune or a distillate may carry another vocabulary, so ``deepseek-r1-distill-llama``
is not taken for Llama. What is not recognised is `Family.UNKNOWN` and gets a bound.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Family(StrEnum):
    """Models that share one tokenizer."""

    O200K = "o200k"
    CL100K = "cl100k"
    LLAMA3 = "llama3"
    QWEN = "qwen"
    TEKKEN = "tekken"
    CLAUDE_3 = "claude-3"
    CLAUDE_4_7 = "claude-4.7"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ChatOverhead:
    """Tokens that a chat format adds around the text of its messages.

    Attributes:
        per_message: role and delimiters of one message.
        per_prompt: once, for the start of the prompt and of the answer.
    """

    per_message: int
    per_prompt: int


_CHAT_OVERHEADS: Final = {
    # <|im_start|>role<|im_sep|>…<|im_end|>, and the header of the answer.
    Family.O200K: ChatOverhead(per_message=4, per_prompt=3),
    Family.CL100K: ChatOverhead(per_message=4, per_prompt=3),
    # <|start_header_id|>role<|end_header_id|>\n\n…<|eot_id|>, <|begin_of_text|>.
    Family.LLAMA3: ChatOverhead(per_message=5, per_prompt=5),
    # <|im_start|>role\n…<|im_end|>\n, and the header of the answer.
    Family.QWEN: ChatOverhead(per_message=5, per_prompt=3),
    # [INST]…[/INST] or [SYSTEM_PROMPT]…[/SYSTEM_PROMPT], <s>.
    Family.TEKKEN: ChatOverhead(per_message=2, per_prompt=1),
    # Measured on single messages by ctok: 7 up to Claude 4.6; 11 for 4.7, then 6.
    Family.CLAUDE_3: ChatOverhead(per_message=7, per_prompt=0),
    Family.CLAUDE_4_7: ChatOverhead(per_message=11, per_prompt=0),
    Family.UNKNOWN: ChatOverhead(per_message=11, per_prompt=11),
}

_PATTERNS: Final = (
    (
        Family.O200K,
        r"(chat)?gpt-?4o|gpt-4\.[15]|gpt-5|gpt-oss|chatgpt|o[134](?!\w)|codex-mini",
    ),
    (Family.CL100K, r"gpt-?4(?![\w.])|gpt-3\.?5|text-embedding-(3|ada-002)"),
    (Family.LLAMA3, r"(meta-)?llama-?3(?!\d)"),
    (Family.QWEN, r"qwen-?(2\.5|2|3)(?![.\d])|qwq-"),
    (Family.TEKKEN, r"(open-)?mistral-nemo|ministral|pixtral-12b|magistral|devstral"),
    (Family.TEKKEN, r"voxtral|mistral-(small|medium)-(latest|3|2[5-9])"),
    (Family.TEKKEN, r"mistral-large-(latest|3|2512)"),
    (Family.UNKNOWN, r"claude-(instant|v?[12])"),
    (Family.CLAUDE_3, r"claude-3"),
    # 4 to 4.6; what follows may be a date, but not another minor version.
    (
        Family.CLAUDE_3,
        r"claude-(opus|sonnet|haiku)-4([-.][0-6])?(?![-.]?\d{1,2}(?!\d))",
    ),
    (Family.CLAUDE_4_7, r"claude"),
)
_COMPILED: Final = tuple((family, re.compile(text)) for family, text in _PATTERNS)
_PREFIXES: Final = re.compile(
    r"^(.*[/:])?((us|eu|apac|global)\.)?((anthropic|meta)\.)?"
)


def family_of(model: str) -> Family:
    """Return the family of a model name; case and provider prefixes do not matter.

    ``openai/gpt-4o``, ``us.anthropic.claude-opus-4-6-v1`` and
    ``meta-llama/Llama-3.1-8B-Instruct`` are recognised.
    """
    lowered = model.strip().lower()
    # An Ollama tag such as ``qwen3:8b`` follows the name; other colons precede it.
    name = lowered.rsplit("/", 1)[-1]
    head, _, tail = name.partition(":")
    for candidate in (head, tail):
        bare = _PREFIXES.sub("", candidate.replace("_", "-"))
        for family, pattern in _COMPILED:
            if pattern.match(bare):
                return family
    return Family.UNKNOWN


def chat_overhead(model: str) -> ChatOverhead:
    """Return what the model's chat format adds; an upper bound for unknown models."""
    return _CHAT_OVERHEADS[family_of(model)]
