"""What the demo asks, and of whom it forgets everything."""

from dataclasses import dataclass

NAMESPACE = "apollo11"
DATA_FILE = "apollo11.jsonl"

QUESTIONS = (
    "Whose birthday did the crew send greetings for?",
    "Which program alarm did the computer show during the landing?",
    "How does the surface powder stick to the boots?",
    "What does the plaque on the landing gear say?",
    "What does Mike Collins say about the food on board?",
)
"""Each is answered somewhere in the conversation."""

UNANSWERED = "Which hotel in Lisbon did Maria book for her wedding guests?"
"""Nothing in the conversation answers it."""

CONTEXT_QUERY = "How did the landing of the Eagle go, and which alarms came up?"
CONTEXT_MODEL = "gpt-4o"
CONTEXT_TOKENS_MAX = 800
CONTEXT_RESERVE_TOKENS = 200

HITS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who spoke."""

    user_id: str
    name: str


FORGOTTEN = Person("collins", "Michael Collins")
"""The demo forgets all that he said; what others said to him stays."""
